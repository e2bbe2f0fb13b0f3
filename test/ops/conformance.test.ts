/** Composites on every backend against the reference in f32, at sizes that fill vectors, tiles and threads. */
import { describe, test } from "node:test";
import type { Shape } from "../../src/core/shape.ts";
import type { Tensor } from "../../src/index.ts";
import * as m from "../../src/index.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms, backendsUnderTest, type ConformanceCase } from "../support/conform.ts";

type Large = readonly [fn: (...inputs: Tensor[]) => Tensor, ...shapes: Shape[]];

const image: Shape = [3, 6, 17, 19];
const cases: Readonly<Record<string, Large>> = {
  activations: [(x) => m.gelu(m.mish(m.elu(m.silu(x)))).add(m.hardswish(m.softplus(x))), image],
  softmax: [(x) => m.softmax(x).add(m.logSoftmax(x, 1)), [9, 33, 70]],
  batchNorm: [(x, weight, bias) => m.relu(m.batchNorm(x, { weight, bias })), image, [6], [6]],
  "batchNorm of vectors": [(x, weight) => m.batchNorm(x, { weight }), [67, 35], [35]],
  layerNorm: [(x, weight, bias) => m.layerNorm(x, [130], { weight, bias }), [5, 7, 130], [130], [130]],
  rmsNorm: [(x, weight) => m.rmsNorm(x, [130], { weight }), [5, 7, 130], [130]],
  groupNorm: [(x, weight, bias) => m.groupNorm(x, 3, { weight, bias }), image, [6], [6]],
  instanceNorm: [(x) => m.instanceNorm(x), image],
  "conv2d, batchNorm, relu": [
    (x, w, weight, bias) => m.relu(m.batchNorm(m.conv2d(x, w, null, { padding: 1 }), { weight, bias })),
    image,
    [9, 6, 3, 3],
    [9],
    [9],
  ],
  convTranspose2d: [(x, w, b) => m.convTranspose2d(x, w, b, { stride: 2, padding: 1 }), image, [6, 5, 4, 4], [5]],
  "maxPool2d of the ResNet stem": [(x) => m.maxPool2d(x, 3, { stride: 2, padding: 1 }), image],
  "avgPool2d, ceil mode": [(x) => m.avgPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true }), image],
  "adaptive pools": [(x) => m.adaptiveAvgPool2d(x, [7, 5]).mul(m.adaptiveMaxPool2d(x, [7, 5])), image],
  bilinear: [(x) => m.interpolate(x, { scaleFactor: 2, mode: "bilinear" }), image],
  bicubic: [(x) => m.interpolate(x, { size: [40, 13], mode: "bicubic" }), image],
  nearest: [(x) => m.interpolate(x, { scaleFactor: 3 }), image],
  reflect: [
    (x) =>
      m.pad(
        x,
        [
          [3, 4],
          [5, 6],
        ],
        { mode: "reflect" },
      ),
    image,
  ],
  embedding: [(w) => m.embedding(m.arange(150).mod(40).reshape([5, 30]), w), [41, 37]],
  attention: [
    (q, k, v) => m.scaledDotProductAttention(q, k, v, { isCausal: true }),
    [2, 3, 37, 20],
    [2, 3, 37, 20],
    [2, 3, 37, 24],
  ],
};

function conformanceCase(name: string, [fn, ...shapes]: Large): ConformanceCase {
  const values = (shape: Shape, seed: number) =>
    m.tensor(
      Float32Array.from(
        uniform(
          shape.reduce((a, b) => a * b, 1),
          seed,
        ),
      ),
      { shape },
    );
  const inputs: readonly Tensor[] = shapes.map(values);
  const [[, out], grads] = m.valueAndGrad(inputs, (inputs) => {
    const out = fn(...inputs);
    return [out.mul(values(out.shape, 9)).sum(), out];
  });
  return { name, outputs: [out, ...grads].map((t) => t.node), scale: 1 };
}

for (const backend of await backendsUnderTest())
  describe(`composites on ${backend.name}`, () => {
    test("values and gradients", () =>
      assertConforms(
        backend,
        Object.entries(cases).map(([name, large]) => conformanceCase(name, large)),
      ));
  });
