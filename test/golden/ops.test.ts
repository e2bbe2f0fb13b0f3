/** Elementwise operations, reductions, movement, products and indexing against PyTorch. */

import type { Axes, Tensor } from "../../src/index.ts";
import * as m from "../../src/index.ts";
import { type Call, callBy, testFamily } from "./cases.ts";

type Unary = (x: Tensor) => Tensor;
const unary =
  (fn: Unary): Call =>
  ({ x }) =>
    fn(x);

interface Reduction {
  readonly axes?: Axes;
  readonly keepDims?: boolean;
  readonly correction?: number;
}
type ReductionMethod = "sum" | "mean" | "prod" | "max" | "min" | "logsumexp" | "variance" | "std";
const reduction =
  (name: ReductionMethod): Call =>
  ({ x }, { axes, ...options }: Reduction) =>
    x[name](axes, options);

interface Axis {
  readonly axis: number;
}
type Pair = readonly [number, number];

const table: Record<string, Call> = {
  neg: unary((x) => x.neg()),
  abs: unary((x) => x.abs()),
  sign: unary((x) => x.sign()),
  exp: unary((x) => x.exp()),
  expm1: unary((x) => x.expm1()),
  log: unary((x) => x.log()),
  log1p: unary((x) => x.log1p()),
  sqrt: unary((x) => x.sqrt()),
  rsqrt: unary((x) => x.rsqrt()),
  square: unary((x) => x.square()),
  reciprocal: unary((x) => x.reciprocal()),
  sin: unary((x) => x.sin()),
  cos: unary((x) => x.cos()),
  tan: unary((x) => x.tan()),
  asin: unary((x) => x.asin()),
  acos: unary((x) => x.acos()),
  atan: unary((x) => x.atan()),
  sinh: unary((x) => x.sinh()),
  cosh: unary((x) => x.cosh()),
  tanh: unary((x) => x.tanh()),
  erf: unary((x) => x.erf()),
  floor: unary((x) => x.floor()),
  ceil: unary((x) => x.ceil()),
  round: unary((x) => x.round()),
  sigmoid: unary(m.sigmoid),
  relu: unary(m.relu),
  leakyRelu: ({ x }, { negativeSlope }: { negativeSlope?: number }) => m.leakyRelu(x, negativeSlope),
  elu: ({ x }, { alpha }: { alpha?: number }) => m.elu(x, alpha),
  gelu: ({ x }, options: { approximate?: "none" | "tanh" }) => m.gelu(x, options),
  silu: unary(m.silu),
  mish: unary(m.mish),
  softplus: ({ x }, { beta }: { beta?: number }) => m.softplus(x, beta),
  hardswish: unary(m.hardswish),
  hardsigmoid: unary(m.hardsigmoid),
  relu6: unary(m.relu6),
  selu: unary(m.selu),
  logSigmoid: unary(m.logSigmoid),
  softsign: unary(m.softsign),
  hardtanh: unary((x) => m.hardtanh(x)),
  prelu: ({ x, weight }) => m.prelu(x, weight),
  glu: ({ x }, { axis }: Axis) => m.glu(x, axis),
  add: ({ a, b }) => a.add(b),
  sub: ({ a, b }) => a.sub(b),
  mul: ({ a, b }) => a.mul(b),
  div: ({ a, b }) => a.div(b),
  pow: ({ a, b }) => a.pow(b),
  mod: ({ a, b }) => a.mod(b),
  castToInt: ({ x }) => x.cast("i32"),
  castToBool: ({ x }) => x.cast("bool"),
  powScalar: ({ x }, { exponent }: { exponent: number }) => x.pow(exponent),
  minimum: ({ a, b }) => a.minimum(b),
  maximum: ({ a, b }) => a.maximum(b),
  eq: ({ a, b }) => a.eq(b),
  ne: ({ a, b }) => a.ne(b),
  lt: ({ a, b }) => a.lt(b),
  le: ({ a, b }) => a.le(b),
  gt: ({ a, b }) => a.gt(b),
  ge: ({ a, b }) => a.ge(b),
  clamp: ({ x }, { min = null, max = null }: { min?: number | null; max?: number | null }) => x.clamp(min, max),
  where: ({ condition, a, b }) => m.where(condition, a, b),
  sum: reduction("sum"),
  mean: reduction("mean"),
  prod: reduction("prod"),
  max: reduction("max"),
  min: reduction("min"),
  logsumexp: reduction("logsumexp"),
  variance: reduction("variance"),
  std: reduction("std"),
  norm: ({ x }, { axes, ...options }: Reduction & { ord?: number }) => x.norm(axes, options),
  normalize: ({ x }, options: m.NormalizeOptions) => m.normalize(x, options),
  argmax: ({ x }, { axis, ...options }: Axis & { keepDims?: boolean }) => x.argmax(axis, options),
  argmin: ({ x }, { axis, ...options }: Axis & { keepDims?: boolean }) => x.argmin(axis, options),
  any: ({ x }, { axis }: Axis) => x.any(axis),
  all: ({ x }, { axis }: Axis) => x.all(axis),
  softmax: ({ x }, { axis }: Axis) => m.softmax(x, axis),
  logSoftmax: ({ x }, { axis }: Axis) => m.logSoftmax(x, axis),
  cumsum: ({ x }, { axis }: Axis) => x.cumsum(axis),
  reshape: ({ x }, { shape }: { shape: number[] }) => x.reshape(shape),
  permute: ({ x }, { axes }: { axes: number[] }) => x.permute(axes),
  transpose: ({ x }, { a, b }: { a: number; b: number }) => x.transpose(a, b),
  broadcastTo: ({ x }, { shape }: { shape: number[] }) => x.broadcastTo(shape),
  slice: ({ x }, { start, stop, step }: { start: number[]; stop: number[]; step: number[] }) =>
    start.reduce((y, from, axis) => y.slice(axis, from, stop[axis], step[axis]), x),
  pad: ({ x }, { pads, value }: { pads: Pair[]; value?: number }) => x.pad(pads, value),
  flip: ({ x }, { axes }: { axes: number[] }) => x.flip(axes),
  concat: ({ a, b, c }, { axis }: Axis) => m.concat([a, b, c], axis),
  stack: ({ a, b, c }, { axis }: Axis) => m.stack([a, b, c], axis),
  split: ({ x }, { sizes, axis }: Axis & { sizes: number[] }) => m.split(x, sizes, axis),
  chunk: ({ x }, { count, axis }: Axis & { count: number }) => m.chunk(x, count, axis),
  squeeze: ({ x }, { axis }: Axis) => x.squeeze(axis),
  unsqueeze: ({ x }, { axis }: Axis) => x.unsqueeze(axis),
  repeatEach: ({ x }, { count, axis }: Axis & { count: number }) => m.repeat(x, count, axis),
  tile: ({ x }, { counts }: { counts: number[] }) => x.tile(counts),
  roll: ({ x }, { shift, axis }: Axis & { shift: number }) => m.roll(x, shift, axis),
  tril: ({ x }, { diagonal }: { diagonal?: number }) => m.tril(x, diagonal),
  triu: ({ x }, { diagonal }: { diagonal?: number }) => m.triu(x, diagonal),
  matmul: ({ a, b }, { transposed = false }: { transposed?: boolean }) =>
    transposed ? a.transpose().matmul(b.transpose()) : a.matmul(b),
  gather: ({ x, index }, { axis }: Axis) => x.gather(axis, index),
  scatterAdd: ({ x, index, source }, { axis }: Axis) => x.scatterAdd(axis, index, source),
  indexSelect: ({ x, index }, { axis }: Axis) => x.take(index, axis),
  take: ({ x, index }) => x.take(index),
  embedding: ({ index, weight }) => m.embedding(index, weight),
  oneHot: ({ index }, { classes }: { classes: number }) => m.oneHot(index, classes),
  sort: ({ x }, { axis, ...options }: Axis & { descending?: boolean }) => x.sort(axis, options),
  argsort: ({ x }, { axis }: Axis) => x.argsort(axis),
  topk: ({ x }, { k, axis, ...options }: { k: number; axis?: number; largest?: boolean }) => x.topk(k, axis, options),
};

await testFamily("ops", callBy(table));
