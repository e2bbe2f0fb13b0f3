import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostArray } from "../../src/core/dtype.ts";
import { Rng, seedKey } from "../../src/core/rng.ts";
import { felzenszwalb, quickshift, type Segmentation, slic } from "../../src/superpixels/index.ts";

const methods = { slic, quickshift, felzenszwalb };

const picture = (
  height: number,
  width: number,
  channels: number,
  value: (y: number, x: number, channel: number) => number,
): HostArray => ({
  dtype: "u8",
  shape: [height, width, channels],
  data: Uint8Array.from({ length: height * width * channels }, (_, i) => {
    const p = Math.floor(i / channels);
    return value(Math.floor(p / width), p % width, i % channels);
  }),
});

/** Four squares of different colour, a little noisy. */
const squares = (channels: number): HostArray => {
  const rng = new Rng(seedKey(3));
  return picture(
    32,
    40,
    channels,
    (y, x, c) => [20, 90, 160, 230][2 * Number(y >= 16) + Number(x >= 20)] + 5 * c + rng.int(4),
  );
};

/** The labels that occur in the four squares; throws where one occurs in two of them. */
function labelsBySquare({ labels, width }: Segmentation): Set<number>[] {
  const found = Array.from({ length: 4 }, () => new Set<number>());
  for (let p = 0; p < labels.length; p++) found[2 * Number(p >= 16 * width) + Number(p % width >= 20)].add(labels[p]);
  for (const [i, a] of found.entries())
    for (const b of found.slice(i + 1)) for (const label of a) assert.ok(!b.has(label), `${label} is in two squares`);
  return found;
}

/** Pieces that hang together over the edges of pixels. */
function pieces({ labels, width }: Segmentation): number {
  const seen = new Uint8Array(labels.length);
  let count = 0;
  for (let start = 0; start < labels.length; start++) {
    if (seen[start]) continue;
    count++;
    const queue = [start];
    seen[start] = 1;
    for (const p of queue)
      for (const [q, inside] of [
        [p + 1, p % width < width - 1],
        [p - 1, p % width > 0],
        [p + width, true],
        [p - width, true],
      ] as const)
        if (inside && labels[q] === labels[p] && !seen[q]) {
          seen[q] = 1;
          queue.push(q);
        }
  }
  return count;
}

for (const channels of [1, 3])
  test(`every method finds four squares in ${channels} channel${channels > 1 ? "s" : ""}`, () => {
    const image = squares(channels);
    const coarse = [felzenszwalb(image, { sigma: 0 }), quickshift(image, { maxDistance: 20, kernelSize: 7 })];
    for (const found of coarse) assert.equal(found.count, 4);
    for (const found of [...coarse, slic(image, { segments: 20 })]) {
      labelsBySquare(found);
      assert.equal(new Set(found.labels).size, found.count);
      assert.equal(Math.max(...found.labels), found.count - 1);
    }
  });

test("SLIC's superpixels hang together, are many as asked for, and are of like size", () => {
  const rng = new Rng(seedKey(1));
  const found = slic(
    picture(60, 90, 3, (y, x, c) => 100 + y + (c === 1 ? x : 0) + rng.int(9)),
    { segments: 24, compactness: 30 },
  );
  assert.equal(pieces(found), found.count);
  assert.ok(found.count > 16 && found.count < 36, `${found.count}`);
  const sizes = new Int32Array(found.count);
  for (const label of found.labels) sizes[label]++;
  assert.ok(Math.min(...sizes) >= (0.5 * 60 * 90) / 24 - 1);
});

test("a constant image is one region, and a grid for SLIC", () => {
  const image = picture(30, 30, 3, () => 77);
  assert.equal(quickshift(image, { maxDistance: 1000 }).count, 1);
  assert.equal(felzenszwalb(image).count, 1);
  assert.equal(slic(image, { segments: 9 }).count, 9);
});

test("images of one pixel, one row and one column", () => {
  for (const [height, width] of [
    [1, 1],
    [1, 30],
    [30, 1],
    [2, 50],
  ])
    for (const [name, method] of Object.entries(methods)) {
      const { labels, count } = method(picture(height, width, 3, (y, x) => (y * 7 + x * 5) % 256));
      assert.equal(labels.length, height * width, name);
      assert.ok(count >= 1 && count <= height * width, name);
      assert.ok(labels.every((label) => label >= 0 && label < count));
    }
});

test("what is no image, and options out of range", () => {
  const planes: HostArray = { dtype: "f32", shape: [3, 4, 4], data: new Float32Array(48) };
  const alpha = picture(4, 4, 4, () => 0);
  const empty = picture(0, 4, 3, () => 0);
  for (const method of Object.values(methods))
    for (const image of [planes, alpha, empty])
      assert.throws(() => method(image), /expected a grey or RGB image, u8 \[height, width, 1 or 3\]/);
  const image = picture(8, 8, 3, () => 9);
  assert.throws(() => slic(image, { segments: 0 }), /segments is 0/);
  assert.throws(() => slic(image, { compactness: 0 }), /compactness is 0/);
  assert.throws(() => quickshift(image, { kernelSize: 0.5 }), /kernelSize is 0.5/);
  assert.throws(() => felzenszwalb(image, { scale: -1 }), /scale is -1/);
  assert.throws(() => felzenszwalb(image, { sigma: Number.NaN }), /sigma is NaN/);
});
