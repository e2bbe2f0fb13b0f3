/** The scaling law of EfficientNet against the published networks and against counted FLOPs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EfficientNetConfig, variants } from "../../src/models/efficientnet.ts";
import {
  compoundScale,
  createModel,
  feasibleBases,
  findModel,
  flopsFactor,
  publishedBases,
  searchBases,
  summarize,
} from "../../src/models/index.ts";

test("the grid has the published bases, and each of its points doubles the FLOPs", () => {
  const all = feasibleBases();
  assert.ok(
    all.some((b) => Object.entries(publishedBases).every(([key, value]) => b[key as keyof typeof b] === value)),
  );
  for (const bases of all) assert.ok(Math.abs(flopsFactor(bases) - 2) <= 0.1 + 1e-9, JSON.stringify(bases));
  assert.equal(new Set(all.map((b) => JSON.stringify(b))).size, all.length);
  assert.throws(() => feasibleBases({ step: 0 }), /step 0 must be above 0/);
});

test("the search returns the feasible bases that score best", async () => {
  // A score with its peak at the published bases.
  const { bases, score } = await searchBases((b) => -Math.hypot(b.depth - 1.2, b.width - 1.1, b.resolution - 1.15));
  assert.deepEqual(bases, publishedBases);
  assert.equal(score, -0);
  await assert.rejects(
    searchBases(() => 0, { step: 0.9, tolerance: 0 }),
    /no bases are feasible/,
  );
});

/** The phi of each published network. */
const phis = { b1: 0.5, b2: 1, b3: 2, b4: 3.5, b5: 5, b6: 6, b7: 7 };

test("B1 to B7 have the widths and resolutions of the law; their depths were published up to a seventh lower", () => {
  for (const [name, phi] of Object.entries(phis)) {
    const law = compoundScale(phi);
    const { width = 1, depth = 1 }: Partial<EfficientNetConfig> =
      variants[`efficientnet_${name}` as keyof typeof variants];
    const [, size] = findModel(`efficientnet_${name}`).variant.input;
    assert.ok(Math.abs(width - law.width) < 0.055, `${name}: width ${width}, law ${law.width}`);
    assert.ok(depth / law.depth > 0.86 && depth / law.depth < 1.01, `${name}: depth ${depth}, law ${law.depth}`);
    assert.ok(Math.abs(size / law.resolution - 1) < 0.045, `${name}: ${size} pixels, law ${law.resolution}`);
  }
});

test("counted FLOPs double with each unit of phi, within 15 %", async () => {
  const flops: number[] = [];
  for (const phi of [1, 2, 3, 4, 5]) {
    const { depth, width, resolution } = compoundScale(phi);
    const model = await createModel("efficientnet_b0", { depth, width });
    flops.push(summarize(model, [1, 3, resolution, resolution]).flops);
  }
  flops.slice(1).forEach((value, i) => {
    const growth = value / flops[i];
    assert.ok(Math.abs(growth / 2 - 1) < 0.15, `from phi ${i + 1}: ${growth}`);
  });
});
