/** How many golden cases there are: cases that get lost would otherwise not be missed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readJson } from "./fixture.ts";

const least = { ops: 230, spatial: 90, layers: 65, losses: 100, optim: 24, schedules: 18, half: 108, autocast: 6 };

for (const [family, count] of Object.entries(least))
  test(`${family} has at least ${count} cases, all named differently`, async () => {
    const cases = await readJson<{ name: string }[]>(`${family}.json`);
    assert.ok(cases.length >= count, `${family}.json has ${cases.length}`);
    assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  });
