/** Networks that have learned a task whose cause is known: every method finds it, and changes with the weights. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { Rng, seedKey } from "../../src/core/rng.ts";
import {
  cam,
  channelHeatmaps,
  gradCam,
  gradCamPlusPlus,
  guidedBackprop,
  guidedGradCam,
  type Heatmap,
  inputXGradient,
  integratedGradients,
  occlusion,
  saliency,
  smoothGrad,
} from "../../src/explain/index.ts";
import { crossEntropy, jit, type Tensor, tensor, valueAndGrad } from "../../src/index.ts";
import {
  AdaptiveAvgPool2d,
  Conv2d,
  Flatten,
  initialize,
  type Layer,
  Linear,
  ReLU,
  Sequential,
} from "../../src/nn/index.ts";
import { adam, optimizer } from "../../src/optim/index.ts";

const size = 16;
const square = 4;
const far = size - square - 1;
const corners = [
  [1, 1],
  [1, far],
  [far, 1],
];

interface Marked {
  readonly images: Tensor;
  readonly labels: Tensor;
  /** Top and left of the square that tells the class. */
  readonly places: readonly (readonly number[])[];
}

/** Noise with squares in corners, of stripes down (class 0) or across (class 1). */
function marked(
  count: number,
  seed: number,
  squaresOf: (rng: Rng, label: number) => [place: number[], label: number][],
) {
  const rng = new Rng(seedKey(seed));
  const data = Float32Array.from({ length: count * size * size }, () => rng.uniform(-0.15, 0.15));
  const places: number[][] = [];
  for (let i = 0; i < count; i++) {
    const squares = squaresOf(rng, i % 2);
    places.push(squares[0][0]);
    for (const [[top, left], label] of squares)
      for (let y = 0; y < square; y++)
        for (let x = 0; x < square; x++) data[(i * size + top + y) * size + left + x] += (label ? y : x) % 2 ? 1 : -1;
  }
  const labels = tensor(Int32Array.from({ length: count }, (_, i) => i % 2));
  return { images: tensor(data, { shape: [count, 1, size, size] }), labels, places };
}

/** One square in a corner that is drawn. */
const anywhere = (count: number, seed: number): Marked =>
  marked(count, seed, (rng, label) => [[corners[rng.int(3)], label]]);

/** A square in each of three corners, of which the first tells the class. */
const firstCorner = (count: number, seed: number): Marked =>
  marked(count, seed, (rng, label) => corners.map((place, k) => [place, k === 0 ? label : rng.int(2)]));

const convolutions = () => [
  ...[new Conv2d(1, 8, 3, { padding: 1 }), new ReLU()],
  ...[new Conv2d(8, 16, 3, { padding: 1 }), new ReLU()],
];
const pooled = () => new Sequential(...convolutions(), new AdaptiveAvgPool2d(1), new Flatten(), new Linear(16, 2));
const placed = () => new Sequential(...convolutions(), new Flatten(), new Linear(16 * size * size, 2));

async function train(model: Layer, data: (count: number, seed: number) => Marked, steps: number): Promise<void> {
  const opt = optimizer(model, adam({ lr: 0.01 }));
  const step = jit((x: Tensor, y: Tensor) => {
    const [loss, gradients] = valueAndGrad(model, () => crossEntropy(model.forward(x), y));
    opt.update(gradients);
    return loss;
  });
  for (let i = 0; i < steps; i++) {
    const { images, labels } = data(32, 100 + i);
    step(images, labels);
  }
  const { images, labels } = data(64, 1);
  const right = model.forward(images).argmax(1).eq(labels).cast("f32").mean();
  assert.ok((await right.item()) > 0.95, "the network has learned its task");
}

type Method = (model: Layer, images: Tensor, target: number[]) => Promise<readonly Heatmap[]>;
const layer = "3";
const maps: Readonly<Record<string, Method>> = {
  cam: async (m, x, target) => (await cam(m, x, { target })).heatmaps,
  gradCam: async (m, x, target) => (await gradCam(m, x, { target, layer })).heatmaps,
  gradCamPlusPlus: async (m, x, target) => (await gradCamPlusPlus(m, x, { target, layer })).heatmaps,
  guidedGradCam: async (m, x, target) => channelHeatmaps(await guidedGradCam(m, x, { target, layer })),
};
const values: Readonly<Record<string, Method>> = {
  saliency: async (m, x, target) => channelHeatmaps(await saliency(m, x, { target }), "largest"),
  inputXGradient: async (m, x, target) => channelHeatmaps(await inputXGradient(m, x, { target })),
  guidedBackprop: async (m, x, target) => channelHeatmaps(await guidedBackprop(m, x, { target })),
  integratedGradients: async (m, x, target) => channelHeatmaps(await integratedGradients(m, x, { target })),
  smoothGrad: async (m, x, target) => channelHeatmaps(await smoothGrad(m, x, { target, samples: 20 })),
};
const occluded: Method = async (m, x, target) => (await occlusion(m, x, { target, window: 4, stride: 2 })).heatmaps;

/** Part of a map's magnitude that is within two pixels of a square, where chance has a fifth. */
function shareOfSquare({ data, width }: Heatmap, [top, left]: readonly number[]): number {
  const near = (at: number, start: number) => at >= start - 2 && at < start + square + 2;
  let [inside, all] = [0, 0];
  for (const [p, value] of data.entries()) {
    all += Math.abs(value);
    if (near(Math.floor(p / width), top) && near(p % width, left)) inside += Math.abs(value);
  }
  return inside / all;
}

/** Cosine of the angle between two maps. */
function likeness(a: Heatmap, b: Heatmap): number {
  const dot = ({ data }: Heatmap, other: Heatmap) => data.reduce((sum, value, p) => sum + value * other.data[p], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;

for (const [title, data, make, steps, methods] of [
  ["a texture in a corner that is drawn", anywhere, pooled, 150, { ...maps, occlusion: occluded }],
  ["the first of three corners", firstCorner, placed, 60, { ...values, occlusion: occluded }],
] as const)
  describe(title, () => {
    const model = initialize(make(), 1);
    const other = initialize(make(), 7);
    const seen = data(12, 2);
    const target = [...seen.labels.dataSync()];
    before(() => train(model, data, steps));

    for (const [name, method] of Object.entries<Method>(methods))
      test(name, async () => {
        const found = await method(model, seen.images, target);
        const share = mean(found.map((map, i) => shareOfSquare(map, seen.places[i])));
        assert.ok(share > 0.5, `only ${share} of the maps is at the square`);
        const elsewhere = await method(other, seen.images, target);
        const alike = found.map((map, i) => likeness(map, elsewhere[i])).filter(Number.isFinite);
        assert.ok(mean(alike) < 0.85, `the maps of other weights are as much as ${mean(alike)} the same`);
      });
  });
