/** Occlusion of a function whose cause is known, in batches, with progress and errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { occlusion } from "../../src/explain/index.ts";
import { type Tensor, tensor } from "../../src/index.ts";

const image = tensor(
  Float32Array.from({ length: 2 * 25 }, (_, i) => 1 + i),
  { shape: [2, 1, 5, 5] },
);

test("a black box that looks at one pixel", async () => {
  const sizes: number[] = [];
  const look = async (batch: Tensor): Promise<number[][]> => {
    sizes.push(batch.shape[0]);
    const values = await batch.data();
    return Array.from({ length: batch.shape[0] }, (_, i) => [0, Number(values[i * 25 + 12])]);
  };
  const done: number[][] = [];
  const { heatmaps, scores, classes } = await occlusion(look, image, {
    ...{ window: 2, stride: 1, batchSize: 10 },
    onProgress: (...count) => done.push(count),
  });
  assert.deepEqual(scores, Float64Array.of(13, 38));
  assert.deepEqual(classes, Int32Array.of(1, 1));
  // Of the four windows over a pixel: how many also hold the one in the middle.
  const [a, b] = [13 / 4, 13 / 2];
  assert.deepEqual([...heatmaps[0].data.slice(5, 20)], [0, a, b, a, 0, 0, b, 13, b, 0, 0, a, b, a, 0]);
  assert.equal(heatmaps[1].data[12], 38);
  assert.deepEqual(sizes, [2, 8, 8, 8, 8]);
  assert.deepEqual(
    done,
    [2, 10, 18, 26, 34].map((n) => [n, 34]),
  );
});

test("any number made of the scores, other covers, windows that end with the image", async () => {
  const sum = (batch: Tensor) => batch.sum([1, 2, 3]).unsqueeze(1);
  const half = await occlusion(sum, image, {
    target: (row) => row[0] / 2,
    window: [5, 3],
    stride: [5, 2],
    baseline: 1,
  });
  assert.equal(half.classes, null);
  const columns = [0, 1, 2, 3, 4].map((x) => [0, 1, 2, 3, 4].reduce((s, y) => s + 5 * y + x, 0));
  const [first, second] = [columns[0] + columns[1] + columns[2], columns[2] + columns[3] + columns[4]].map(
    (s) => s / 2,
  );
  assert.deepEqual([...half.heatmaps[0].data.slice(0, 5)], [first, first, (first + second) / 2, second, second]);
  const same = await occlusion(sum, image, { target: [0, 0], baseline: image.slice(0, 0, 1).squeeze(0) });
  assert.deepEqual(same.heatmaps[0].data, new Float32Array(25));
});

test("bad windows, scores and targets", async () => {
  const zeros = (batch: Tensor) => batch.sum([1, 2, 3]).mul(0).unsqueeze(1);
  await assert.rejects(occlusion(zeros, image, { window: 6 }), /6 pixels do not fit an image of 5/);
  await assert.rejects(occlusion(zeros, image, { window: 2, stride: 3 }), /stride: 3 with windows of 2 pixels/);
  await assert.rejects(occlusion(zeros, image, { target: 1 }), /no class 1; the scores have 1/);
  await assert.rejects(occlusion(zeros, image, { target: [0] }), /1 classes for 2 images/);
  await assert.rejects(occlusion(zeros, image.select(0, 0)), /images: a batch/);
  await assert.rejects(
    occlusion(
      () => [
        [1, 2],
        [Number.NaN, 1],
      ],
      image,
    ),
    /example 1 is NaN/,
  );
  const stop = new AbortController();
  const abort = occlusion(zeros, image, { signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) });
  await assert.rejects(abort, /enough/);
});
