import type { Tensor } from "../../src/index.ts";
import * as m from "../../src/index.ts";
import { type Point, spread } from "../support/check-grads.ts";

/** A composite function and points at which it is smooth. */
export type Sample = readonly [fn: (...inputs: Tensor[]) => Tensor, ...points: Point[]];

const i32 = (...values: number[]) => m.tensor(Int32Array.from(values));
/** Values in (low, high) without those near a kink. */
const away = (shape: readonly number[], low: number, high: number, ...kinks: number[]): Point => {
  const { values } = spread(shape, low, high);
  const clear = (v: number) => (kinks.some((k) => Math.abs(v - k) < 0.02) ? v + 0.05 : v);
  return { shape, values: values.map(clear) };
};

const plane = spread([1, 2, 4, 5], -2, 2);
const row = spread([2, 2, 6], -2, 2);
const matrix = spread([3, 4], -2, 2);
const channel = spread([2], 0.5, 1.5);
const bias = spread([2], -1, 1, 3);

const activations = {
  relu: [m.relu, away([7], -2, 2, 0)],
  leakyRelu: [(x) => m.leakyRelu(x, 0.1), away([7], -2, 2, 0)],
  prelu: [m.prelu, away([2, 3], -2, 2, 0), spread([3], 0.1, 0.5)],
  elu: [(x) => m.elu(x, 0.7), away([7], -2, 2, 0)],
  selu: [m.selu, away([7], -2, 2, 0)],
  hardtanh: [(x) => m.hardtanh(x, -0.6, 0.7), away([9], -2, 2, -0.6, 0.7)],
  relu6: [m.relu6, away([9], -2, 8, 0, 6)],
  hardsigmoid: [m.hardsigmoid, away([9], -5, 5, -3, 3)],
  hardswish: [m.hardswish, away([9], -5, 5, -3, 3)],
  sigmoid: [m.sigmoid, spread([5], -4, 4)],
  softplus: [(x) => m.softplus(x, 1.5), spread([5], -4, 4)],
  "softplus at 0": [(x) => m.softplus(x), { shape: [1], values: [0] }],
  logSigmoid: [m.logSigmoid, spread([5], -4, 4)],
  silu: [m.silu, spread([5], -4, 4)],
  mish: [m.mish, spread([5], -4, 4)],
  softsign: [m.softsign, away([5], -4, 4, 0)],
  gelu: [(x) => m.gelu(x), spread([5], -3, 3)],
  "gelu tanh": [(x) => m.gelu(x, { approximate: "tanh" }), spread([5], -3, 3)],
  glu: [(x) => m.glu(x, 1), spread([2, 4], -2, 2)],
  softmax: [(x) => m.softmax(x, 0), matrix],
  logSoftmax: [(x) => m.logSoftmax(x), matrix],
  logsumexp: [(x) => x.logsumexp(1), matrix],
} satisfies Record<string, Sample>;

const norms = {
  batchNorm: [(x, weight, bias) => m.batchNorm(x, { weight, bias, eps: 0.1 }), row, channel, bias],
  "batchNorm without weight": [(x) => m.batchNorm(x), spread([4, 2], -2, 2)],
  "batchNorm given moments": [
    (x, weight, mean, variance) => m.batchNorm(x, { weight, moments: { mean, variance } }),
    row,
    channel,
    bias,
    spread([2], 0.5, 2, 9),
  ],
  layerNorm: [
    (x, weight, bias) => m.layerNorm(x, [4], { weight, bias }),
    matrix,
    spread([4], 0.5, 1.5),
    spread([4], -1, 1),
  ],
  "layerNorm over two axes": [(x) => m.layerNorm(x, [2, 3]), spread([2, 2, 3], -2, 2)],
  rmsNorm: [(x, weight) => m.rmsNorm(x, [4], { weight }), matrix, spread([4], 0.5, 1.5)],
  groupNorm: [
    (x, weight, bias) => m.groupNorm(x, 2, { weight, bias }),
    spread([1, 4, 3], -2, 2),
    spread([4], 0.5, 1.5),
    spread([4], -1, 1),
  ],
  instanceNorm: [(x, weight, bias) => m.instanceNorm(x, { weight, bias }), spread([1, 2, 4], -2, 2), channel, bias],
  normalize: [(x) => m.normalize(x), matrix],
  "norm of order 3": [(x) => x.norm(1, { ord: 3 }), away([2, 3], -2, 2, 0)],
} satisfies Record<string, Sample>;

const convolutions = {
  conv1d: [
    (x, w, b) => m.conv1d(x, w, b, { stride: 2, padding: 1 }),
    row,
    spread([3, 2, 3], -1, 1),
    spread([3], -1, 1),
  ],
  "conv2d same": [
    (x, w) => m.conv2d(x, w, null, { padding: "same", dilation: [1, 2] }),
    plane,
    spread([2, 2, 2, 2], -1, 1),
  ],
  "conv2d groups": [(x, w, b) => m.conv2d(x, w, b, { groups: 2 }), plane, spread([2, 1, 2, 2], -1, 1), bias],
  "conv2d pairs": [
    (x, w) => m.conv2d(x, w, null, { padding: [[0, 1], 2], stride: [2, 3] }),
    plane,
    spread([1, 2, 2, 2], -1, 1),
  ],
  conv3d: [(x, w) => m.conv3d(x, w), spread([1, 1, 2, 3, 3], -1, 1), spread([2, 1, 2, 2, 2], -1, 1)],
  convTranspose1d: [
    (x, w, b) => m.convTranspose1d(x, w, b, { stride: 2, padding: 1, outputPadding: 1 }),
    spread([1, 2, 3], -1, 1),
    spread([2, 2, 3], -1, 1),
    bias,
  ],
  "convTranspose1d, outputPadding past the stride": [
    (x, w, b) => m.convTranspose1d(x, w, b, { dilation: 4, outputPadding: 2 }),
    spread([1, 2, 3], -1, 1),
    spread([2, 2, 2], -1, 1),
    bias,
  ],
  convTranspose2d: [
    (x, w) => m.convTranspose2d(x, w, null, { stride: 2, groups: 2 }),
    spread([1, 2, 2, 3], -1, 1),
    spread([2, 1, 2, 2], -1, 1),
  ],
} satisfies Record<string, Sample>;

const pools = {
  maxPool1d: [(x) => m.maxPool1d(x, 3, { stride: 1, padding: 1 }), row],
  maxPool2d: [(x) => m.maxPool2d(x, 2, { ceilMode: true }), plane],
  "maxPool2d dilation": [(x) => m.maxPool2d(x, 2, { stride: 1, dilation: 2 }), plane],
  maxPool3d: [(x) => m.maxPool3d(x, 2), spread([1, 1, 2, 4, 2], -1, 1)],
  maxUnpool2d: [
    (x) => {
      const [y, at] = m.maxPool2dWithIndices(x, 2);
      return m.maxUnpool2d(y, at, 2, { outputSize: [4, 5] });
    },
    plane,
  ],
  "maxUnpool2d, overlapping": [
    (x) => {
      const [y, at] = m.maxPool2dWithIndices(x, 3, { stride: 1 });
      return m.maxUnpool2d(y, at, 3, { stride: 1 });
    },
    plane,
  ],
  avgPool1d: [(x) => m.avgPool1d(x, 3, { stride: 2, padding: 1 }), row],
  "avgPool2d, padding not counted": [(x) => m.avgPool2d(x, [2, 3], { padding: 1, countIncludePad: false }), plane],
  "avgPool2d, divisor": [(x) => m.avgPool2d(x, 2, { divisorOverride: 3 }), plane],
  adaptiveAvgPool2d: [(x) => m.adaptiveAvgPool2d(x, [3, 2]), plane],
  "adaptiveAvgPool2d, even": [(x) => m.adaptiveAvgPool2d(x, [2, null]), plane],
  adaptiveMaxPool2d: [(x) => m.adaptiveMaxPool2d(x, [3, 2]), plane],
  globalAvgPool: [m.globalAvgPool, plane],
} satisfies Record<string, Sample>;

const resampling = {
  nearest: [(x) => m.interpolate(x, { size: [3, 7] }), plane],
  "nearest, whole factor": [(x) => m.interpolate(x, { scaleFactor: 2 }), plane],
  linear: [(x) => m.interpolate(x, { size: 9, mode: "linear" }), row],
  bilinear: [(x) => m.interpolate(x, { scaleFactor: 1.5, mode: "bilinear" }), plane],
  bicubic: [(x) => m.interpolate(x, { size: [6, 3], mode: "bicubic", alignCorners: true }), plane],
  trilinear: [(x) => m.interpolate(x, { scaleFactor: 2, mode: "trilinear" }), spread([1, 1, 2, 2, 2], -1, 1)],
  "pad reflect": [(x) => m.pad(x, [[2, 1]], { mode: "reflect" }), row],
  "pad replicate": [
    (x) =>
      m.pad(
        x,
        [
          [1, 2],
          [3, 0],
        ],
        { mode: "replicate" },
      ),
    plane,
  ],
  "pad circular": [(x) => m.pad(x, [[2, 3]], { mode: "circular" }), row],
} satisfies Record<string, Sample>;

const mask = m.tensor([
  [true, false, true],
  [true, true, false],
]);
const others = {
  linear: [m.linear, matrix, spread([2, 4], -1, 1), bias],
  embedding: [(w) => m.embedding(i32(2, 0, 2), w), matrix],
  attention: [
    (q, k, v) => m.scaledDotProductAttention(q, k, v, { mask }),
    spread([2, 2], -1, 1),
    spread([3, 2], -1, 1, 1),
    spread([3, 2], -1, 1, 2),
  ],
  "attention, causal": [
    (q, k, v) => m.scaledDotProductAttention(q, k, v, { isCausal: true, scale: 2 }),
    spread([3, 2], -1, 1),
    spread([3, 2], -1, 1, 1),
    spread([3, 1], -1, 1, 2),
  ],
  stack: [(a, b) => m.stack([a, b], -1), matrix, spread([3, 4], -1, 1)],
  split: [(x) => m.split(x, [1, 3], 1)[1].mul(m.chunk(x, 2, 0)[1].slice(1, 0, 1)), matrix],
  repeat: [(x) => m.repeat(x, 2, 1), matrix],
  roll: [(x) => m.roll(x, -1, 0), matrix],
  tril: [(x) => m.tril(x, -1), matrix],
  sinh: [(x) => x.sinh().add(x.cosh()), matrix],
  asin: [(x) => x.asin().mul(x.acos()), spread([5], -0.9, 0.9)],
} satisfies Record<string, Sample>;

export const samples: Readonly<Record<string, Sample>> = {
  ...activations,
  ...norms,
  ...convolutions,
  ...pools,
  ...resampling,
  ...others,
};
