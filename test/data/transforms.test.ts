import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostArray } from "../../src/core/dtype.ts";
import { fold, Rng, seedKey } from "../../src/core/rng.ts";
import {
  applyTransforms,
  centerCrop,
  colorJitter,
  cutout,
  DataLoader,
  findDataset,
  grayscale,
  horizontalFlip,
  ImageMemory,
  knownDatasets,
  normalize,
  randAugment,
  randomAffine,
  randomApply,
  randomCrop,
  randomErasing,
  randomResizedCrop,
  randomRotation,
  reportDataset,
  resize,
  type Transform,
  toFloat,
  verticalFlip,
} from "../../src/data/index.ts";

const rng = new Rng(seedKey(2));
const photo: HostArray = {
  dtype: "u8",
  shape: [21, 26, 3],
  data: Uint8Array.from({ length: 21 * 26 * 3 }, () => 40 + rng.int(216)),
};
const key = (n: number) => fold(seedKey(1), n);

const random: readonly Transform[] = [
  randomCrop(16, { padding: 2 }),
  randomResizedCrop([12, 9]),
  horizontalFlip(),
  verticalFlip(),
  randomRotation(30, { interpolation: "bilinear", fill: 7 }),
  randomAffine({ degrees: 10, translate: [0.2, 0.1], scale: [0.8, 1.2], shear: 8 }),
  colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
  randAugment(),
  cutout(7),
  randomErasing({ p: 0.9, value: "random" }),
  randomApply(0.6, [grayscale(), colorJitter({ hue: 0.3 })]),
];

for (const transform of random)
  test(`${transform.op}: the same key gives the same image, other keys others, and plain data does as well`, () => {
    const made = Array.from({ length: 12 }, (_, n) => applyTransforms([transform], photo, key(n)));
    const stored: Transform = JSON.parse(JSON.stringify(transform));
    for (const [n, image] of made.entries()) {
      assert.deepEqual(applyTransforms([stored], photo, key(n)), image);
      assert.equal(
        image.data.length,
        image.shape.reduce((a, b) => a * b),
      );
    }
    assert.ok(new Set(made.map(({ data }) => data.join())).size > 1);
  });

test("probabilities are kept", () => {
  const share = (transform: Transform): number => {
    let changed = 0;
    for (let n = 0; n < 2000; n++)
      if (applyTransforms([transform], photo, key(n)).data.join() !== photo.data.join()) changed++;
    return changed / 2000;
  };
  for (const [transform, p] of [
    [horizontalFlip(0.3), 0.3],
    [verticalFlip(), 0.5],
    [randomErasing({ p: 0.25 }), 0.25],
    [randomApply(0.8, [grayscale()]), 0.8],
  ] as const)
    assert.ok(Math.abs(share(transform) - p) < 0.05, transform.op);
});

test("a transform's random numbers do not depend on what the ones before it drew", () => {
  const small = applyTransforms([randomErasing({ p: 0 }), horizontalFlip()], photo, key(3));
  const other = applyTransforms([cutout(0), horizontalFlip()], photo, key(3));
  assert.deepEqual(small, other);
});

test("random crops reach every place, with the border when padded", () => {
  const places = new Set<number>();
  const numbered: HostArray = { dtype: "u8", shape: [3, 3, 1], data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) };
  for (let n = 0; n < 300; n++)
    places.add(applyTransforms([randomCrop(1, { padding: 1, fill: 200 })], numbered, key(n)).data[0]);
  assert.deepEqual(
    [...places].sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 200],
  );
});

test("cutout and erasing stay inside and keep the rest", () => {
  for (let n = 0; n < 50; n++) {
    const { data } = applyTransforms([cutout(5)], photo, key(n));
    const painted = [...data].filter((v, i) => v !== photo.data[i]).length;
    assert.ok(painted >= 3 * 3 * 3 && painted <= 5 * 5 * 3, `${painted}`);
  }
  const planes = applyTransforms([toFloat(), randomErasing({ p: 1, value: -1 })], photo, key(0));
  const area = [...planes.data].filter((v) => v === -1).length / planes.data.length;
  assert.ok(area > 0.01 && area < 0.4, `${area}`);
});

test("grey images pass through everything", () => {
  const grey: HostArray = { dtype: "u8", shape: [21, 26, 1], data: new Uint8Array(photo.data.subarray(0, 546)) };
  const all = [...random, resize(30), centerCrop(24), normalize([0.5], [0.5])];
  assert.deepEqual(applyTransforms(all, grey, key(4)).shape, [1, 24, 24]);
});

test("what is no image is refused", () => {
  const tokens: HostArray = { dtype: "u32", shape: [9], data: new Uint32Array(9) };
  assert.throws(() => applyTransforms([toFloat()], tokens, key(0)), /the sample's first field is u32 \[9\]/);
});

test("the catalogue names its data sets, and a loader's epoch gives tensors", async () => {
  assert.equal(findDataset("cifar10").classCount, 10);
  assert.throws(() => findDataset("cifar"), /unknown data set "cifar"; did you mean cifar10/);
  for (const dataset of knownDatasets) {
    const report = await reportDataset(dataset, "/nonexistent");
    assert.equal(report.cached, false);
    assert.ok(report.bytes > 1e7 && report.sources.length >= 1);
    for (const { sha256 } of dataset.manifest.files) assert.match(sha256, /^[0-9a-f]{64}$/);
  }
  const set = new ImageMemory({
    pixels: new Uint8Array([0, 255]),
    height: 1,
    width: 1,
    channels: 1,
    labels: Int32Array.of(1, 0),
    classes: ["a", "b"],
    origin: "two dots",
  });
  for await (const [x, y] of new DataLoader(set, { batchSize: 2, transforms: [toFloat()] }).epoch(0)) {
    assert.deepEqual([x.shape, y.shape], [[2, 1, 1, 1], [2]]);
    assert.deepEqual([x.dtype, y.dtype], ["f32", "i32"]);
    assert.deepEqual([...(await x.data())], [0, 1]);
  }
});
