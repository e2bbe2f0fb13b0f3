import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { imdbReviews, labelledTable, penguins, readReviews, readRows, splitTable } from "manabi/data";
import { imdbManifest } from "../../src/data/imdb.ts";
import { penguinsManifest } from "../../src/data/penguins.ts";
import { isCached } from "../../src/fetch/sources.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-rows-"));
});
after(() => rm(root, { recursive: true }));

const file = async (name: string, content: unknown): Promise<string> => {
  const path = join(root, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

test("reviews are divided by the seed, and none is in both parts", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ t: `review ${i % 30}<br /><br />end`, s: i % 2 }));
  const path = await file("reviews.json", rows);
  const { train, test: tested, classes } = await readReviews(path, { testFraction: 0.2, seed: 1 });
  assert.deepEqual([train.texts.length, tested.texts.length, classes], [24, 6, ["negative", "positive"]]);
  assert.equal(new Set([...train.texts, ...tested.texts]).size, 30);
  for (const { texts, labels } of [train, tested])
    for (const [i, text] of texts.entries()) {
      assert.equal(labels[i], Number(/\d+/.exec(text)?.[0]) % 2, text);
      assert.match(text, /^review \d+\n\nend$/);
    }
  assert.deepEqual((await readReviews(path, { testFraction: 0.2, seed: 1 })).train, train);
  assert.notDeepEqual((await readReviews(path, { testFraction: 0.2, seed: 2 })).train.texts, train.texts);
});

test("files that hold no rows, or no reviews", async () => {
  await assert.rejects(readRows(await file("broken.json", "[{")), /broken\.json: not valid JSON/);
  await assert.rejects(readRows(await file("object.json", { t: 1 })), /expected a JSON list of objects/);
  await assert.rejects(readRows(join(root, "none.json")), /none\.json: cannot be read/);
  const bad = await file("bad.json", [
    { t: "fine", s: 0 },
    { t: "what?", s: 2 },
  ]);
  await assert.rejects(readReviews(bad), /bad\.json: entry 1 is no \{ "t": text, "s": label from 0 to 1 \}/);
});

test("rows become a table: text as categories, gaps left out, the target as classes", () => {
  const rows = [
    { size: 1.5, colour: "red", kind: "b" },
    { size: 2.5, colour: "blue", kind: "a" },
    { size: null, colour: "red", kind: "a" },
    { size: 3, colour: "red", kind: "." },
  ];
  const table = labelledTable(rows, "kind");
  assert.deepEqual(table.columns, [
    { name: "size", categories: null },
    { name: "colour", categories: ["blue", "red"] },
  ]);
  assert.deepEqual(
    table.rows.map((row) => [...row]),
    [
      [1.5, 1],
      [2.5, 0],
    ],
  );
  assert.deepEqual(
    [[...table.labels], table.classes],
    [
      [1, 0],
      ["a", "b"],
    ],
  );
  assert.throws(() => labelledTable(rows, "knd"), /unknown column "knd"; did you mean kind/);
  assert.throws(() => labelledTable([{ size: null, kind: "a" }], "kind"), /all 1 rows lack a value/);
  const { train, test: tested } = splitTable(table, { testFraction: 0.5 });
  assert.deepEqual([train.rows.length, tested.rows.length], [1, 1]);
  assert.notEqual(train.labels[0], tested.labels[0]);
});

test("the penguins", async (t) => {
  if (!(await isCached(penguinsManifest))) return t.skip("not in the cache; manabi train explain-table fetches them");
  const table = await penguins();
  assert.deepEqual([table.rows.length, table.classes], [333, ["Adelie", "Chinstrap", "Gentoo"]]);
  assert.deepEqual([...table.rows[0]], [2, 39.1, 18.7, 181, 3750, 1]);
});

test("the film reviews", async (t) => {
  if (!(await isCached(imdbManifest))) return t.skip("not in the cache; manabi train explain-reviews fetches them");
  const { train, test: tested } = await imdbReviews({ seed: 1 });
  assert.deepEqual([train.texts.length, tested.texts.length], [39665, 9916]);
});
