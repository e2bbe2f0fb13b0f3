import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { grad, ManabiError, softmax, type Tensor, tensor } from "manabi";
import {
  type BlackBox,
  gradCam,
  type Heatmap,
  randomizationTest,
  randomRemovalCurves,
  rankCorrelation,
  removalCurves,
  removalGain,
  structuralSimilarity,
} from "manabi/explain";
import { BatchNorm2d, Conv2d, Flatten, initialize, Linear, ReLU, Sequential } from "manabi/nn";
import { Rng, seedKey } from "../../src/core/rng.ts";
import { root } from "../support/paths.ts";

const side = 16;

/** Whether the upper left corner of images [n, 1, 16, 16] is bright: probabilities [n, 2]. */
const cornerNet: BlackBox = (batch) => {
  const bright = batch.slice(2, 0, 4).slice(3, 0, 4).mean([1, 2, 3]);
  return softmax(
    bright
      .mul(8)
      .unsqueeze(1)
      .mul(tensor([-1, 1])),
    -1,
  );
};
const image = (() => {
  const values = new Float32Array(side * side);
  new Rng(seedKey(3)).fillUniform(values, 0.2, 1);
  return tensor(values, [1, side, side]);
})();
const heatmap = (read: (x: number, y: number) => number): Heatmap => ({
  width: side,
  height: side,
  data: Float32Array.from({ length: side * side }, (_, p) => read(p % side, Math.floor(p / side))),
});
const planted = heatmap((x, y) => Number(x < 4 && y < 4));

test("deleting and inserting the cause first is far from chance, and its opposite is worse than chance", async () => {
  const options = { steps: 16, canvas: "zero", seed: 1 } as const;
  const random = await randomRemovalCurves(cornerNet, image, 1, { ...options, orders: 6, cell: 2 });
  const found = await removalCurves(cornerNet, image, planted, 1, options);
  assert.ok(found.deletion.area < 0.56 && found.insertion.area > 0.95, JSON.stringify(found));
  const gain = removalGain(found, random);
  assert.ok(gain.deletion > 0.15 && gain.insertion > 0.05, JSON.stringify(gain));
  const opposite = await removalCurves(
    cornerNet,
    image,
    heatmap((x, y) => -Number(x < 4 && y < 4)),
    1,
    options,
  );
  const loss = removalGain(opposite, random);
  assert.ok(loss.deletion < -0.05 && loss.insertion < -0.05, JSON.stringify(loss));
  // Both ends are the whole image and what is left of it.
  const whole = (await cornerNet(image.unsqueeze(0))) as Tensor;
  const [, p] = await whole.data();
  assert.ok(Math.abs(found.deletion.scores[0] - p) < 1e-6 && Math.abs(found.insertion.scores[16] - p) < 1e-6);
  assert.ok(Math.abs(found.deletion.scores[16] - 0.5) < 1e-6);
});

test("the curves do not depend on the size of a batch, and follow the seed", async () => {
  const flat = heatmap(() => 1); // all pixels are equal, so their order is drawn
  const run = async (batchSize: number, seed: number) => {
    const { deletion, insertion } = await removalCurves(cornerNet, image, flat, 1, { steps: 9, batchSize, seed });
    return [...deletion.scores, ...insertion.scores];
  };
  const whole = await run(20, 1);
  assert.deepEqual(await run(3, 1), whole);
  assert.notDeepEqual(await run(20, 2), whole);
});

test("curves tell how far they are, stop when asked, and refuse what has no order", async () => {
  const seen: [number, number][] = [];
  const onProgress = (done: number, total: number) => void seen.push([done, total]);
  await removalCurves(cornerNet, image, planted, 1, { steps: 3, batchSize: 4, onProgress });
  assert.deepEqual(seen, [
    [4, 8],
    [8, 8],
  ]);
  const stop = new AbortController();
  const calls = { count: 0 };
  const counted: BlackBox = (batch) => {
    calls.count++;
    stop.abort(new Error("enough"));
    return cornerNet(batch);
  };
  const stopped = removalCurves(counted, image, planted, 1, { batchSize: 2, signal: stop.signal });
  await assert.rejects(stopped, /enough/);
  assert.equal(calls.count, 1);
  await assert.rejects(
    removalCurves(
      cornerNet,
      image,
      heatmap(() => Number.NaN),
      1,
    ),
    /value 0 of the map is NaN/,
  );
  await assert.rejects(
    removalCurves(cornerNet, image.unsqueeze(0), planted, 1),
    /expected \[channels, height, width\]/,
  );
  await assert.rejects(removalCurves(cornerNet, image, planted, 1, { steps: 0 }), /steps is 0/);
  const other = removalCurves(cornerNet, image, planted, 1, { deleted: tensor([[[1]]]) });
  await assert.rejects(other, /the canvas is \[1,1,1\], the image \[1,16,16\]/);
});

test("rank correlation is SciPy's and structural similarity scikit-image's", () => {
  const file = join(root, "test/fixtures/golden/map-similarity.json");
  const { width, height, base, cases } = JSON.parse(readFileSync(file, "utf8")) as {
    readonly width: number;
    readonly height: number;
    readonly base: readonly number[];
    readonly cases: readonly { name: string; map: number[]; spearman: number; ssim: number }[];
  };
  const map = (data: readonly number[]): Heatmap => ({ width, height, data: Float32Array.from(data) });
  for (const { name, map: other, spearman, ssim } of cases) {
    assert.ok(Math.abs(rankCorrelation(base, other) - spearman) < 1e-9, name);
    assert.ok(Math.abs(structuralSimilarity(map(base), map(other)) - ssim) < 1e-6, name);
  }
  assert.equal(rankCorrelation([1, 1, 1], [1, 2, 3]), 0);
  assert.throws(() => rankCorrelation([1], [1, 2]), /1 values cannot be compared with 2/);
  assert.throws(() => structuralSimilarity(map(base), planted), /maps of 19x24 and 16x16/);
  const tiny = { width: 4, height: 4, data: new Float32Array(16) };
  assert.throws(() => structuralSimilarity(tiny, tiny), /smaller than the window of 11x11/);
});

const net = () =>
  initialize(
    new Sequential(
      new Conv2d(1, 8, 3, { padding: 1 }),
      new BatchNorm2d(8),
      new ReLU(),
      new Conv2d(8, 8, 3, { padding: 1 }),
      new ReLU(),
      new Flatten(),
      new Linear(8 * side * side, 2),
    ),
    5,
  ).eval();

/** How strongly each pixel moves the score of class 1. */
const saliency = (model: { forward(x: Tensor): Tensor }) => async (): Promise<Heatmap> => {
  const slope = grad((x: Tensor) => model.forward(x).slice(1, 1).sum())(image.unsqueeze(0));
  return { width: side, height: side, data: Float32Array.from(await slope.data()) };
};

/** Where the picture has edges, whatever the model is. */
const edges = async (): Promise<Heatmap> => {
  const values = await image.data();
  return heatmap((x, y) => Math.abs(values[y * side + x] - values[y * side + Math.max(0, x - 1)]));
};

for (const order of ["cascading", "independent"] as const)
  test(`${order}: gradients change with the weights, an edge detector does not, and the weights come back`, async () => {
    const model = net();
    const before = await Promise.all([...model.stateDict().values()].map((t) => t.data()));
    const seen: string[] = [];
    const onProgress = (done: number, total: number) => void seen.push(`${done}/${total}`);
    const gradients = await randomizationTest(model, saliency(model), { order, seed: 1, onProgress });
    assert.deepEqual(seen, ["1/3", "2/3", "3/3"]);
    assert.deepEqual(
      gradients.steps.map(({ stage }) => stage),
      ["6", "3", "0"],
    );
    assert.equal(gradients.verdict, "changes");
    for (const { correlation, similarity } of gradients.steps)
      assert.ok(Math.abs(correlation) < 0.9 && Math.abs(similarity ?? 1) < 0.9);
    const cam = async () => (await gradCam(model, image.unsqueeze(0), { layer: "4", target: 1 })).heatmaps[0];
    const cams = await randomizationTest(model, cam, { order, seed: 1 });
    assert.equal(cams.verdict, "changes", JSON.stringify(cams.steps.map((step) => step.absoluteCorrelation)));
    const still = await randomizationTest(model, edges, { order, seed: 1 });
    assert.equal(still.verdict, "hardly changes");
    assert.deepEqual(new Set(still.steps.map((step) => step.correlation.toFixed(9))), new Set(["1.000000000"]));
    assert.deepEqual(await Promise.all([...model.stateDict().values()].map((t) => t.data())), before);
  });

test("the weights come back when a map cannot be made", async () => {
  const model = net();
  const before = await model.parameters()[0].data();
  let calls = 0;
  const failing = () => {
    if (calls++ > 1) throw new ManabiError("no map");
    return planted;
  };
  await assert.rejects(randomizationTest(model, failing), /no map/);
  assert.deepEqual(await model.parameters()[0].data(), before);
  await assert.rejects(
    randomizationTest(model, () => []),
    /explain returned no maps/,
  );
});
