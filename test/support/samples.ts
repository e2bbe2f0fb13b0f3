import type { DType } from "../../src/core/dtype.ts";
import type { Node } from "../../src/graph/node.ts";
import * as at from "../../src/primitives/attention.ts";
import * as b from "../../src/primitives/broadcast.ts";
import * as c from "../../src/primitives/contract.ts";
import * as control from "../../src/primitives/control.ts";
import * as e from "../../src/primitives/elementwise.ts";
import type { PrimitiveName } from "../../src/primitives/index.ts";
import * as ix from "../../src/primitives/indexing.ts";
import * as l from "../../src/primitives/leaf.ts";
import * as m from "../../src/primitives/movement.ts";
import * as r from "../../src/primitives/reduce.ts";
import { type Differentiable, type Point, spread } from "./check-grads.ts";
import { leaf, vector } from "./evaluate.ts";

/** A function and points to evaluate it at. It takes its dtype from its inputs, so that it can be tried in each. */
export type Case = readonly [fn: Differentiable, ...points: Point[]];

/**
 * How one primitive is exercised: `cases` run on every backend in every dtype that the primitive takes. Those of
 * `differentiable` samples have gradients of first and second order at their points; the others have known `values`.
 */
export type Sample =
  | { readonly differentiable: true; readonly cases: readonly Case[] }
  | {
      readonly differentiable: false;
      readonly cases: readonly Case[];
      readonly values: readonly (readonly [node: () => Node, expected: readonly number[]])[];
    };

const gradients = (...cases: Case[]): Sample => ({ differentiable: true, cases });
const values = (cases: readonly Case[], ...values: (readonly [() => Node, readonly number[]])[]): Sample => ({
  differentiable: false,
  cases,
  values,
});

const smooth = spread([2, 3], -2, 2);
const positive = spread([2, 3], 0.3, 3);
const vec = (...list: number[]): Point => ({ shape: [list.length], values: list });
const other = spread([2, 3], -2, 2, 7);

/** Two axes of attributes from one: the same for each spatial axis. */
const convAttrs = (rank: number, over: Partial<c.ConvAttrs> = {}): c.ConvAttrs => ({
  stride: new Array<number>(rank).fill(1),
  padding: new Array<[number, number]>(rank).fill([0, 0]),
  dilation: new Array<number>(rank).fill(1),
  groups: 1,
  ...over,
});

interface ConvCase {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly attrs: c.ConvAttrs;
}
const convCases: readonly ConvCase[] = [
  { x: [2, 2, 5], w: [3, 2, 3], attrs: convAttrs(1) },
  { x: [1, 2, 6], w: [2, 2, 3], attrs: convAttrs(1, { stride: [2], padding: [[2, 1]] }) },
  { x: [1, 4, 5], w: [4, 1, 2], attrs: convAttrs(1, { groups: 4, dilation: [2], padding: [[0, 1]] }) },
  {
    x: [1, 2, 4, 4],
    w: [2, 2, 3, 2],
    attrs: convAttrs(2, {
      padding: [
        [1, 1],
        [0, 1],
      ],
    }),
  },
  {
    x: [1, 2, 5, 4],
    w: [2, 1, 2, 2],
    attrs: convAttrs(2, {
      stride: [2, 2],
      padding: [
        [1, 0],
        [0, 1],
      ],
      dilation: [2, 1],
      groups: 2,
    }),
  },
  { x: [2, 1, 5, 5], w: [1, 1, 2, 2], attrs: convAttrs(2, { stride: [3, 2] }) }, // the last column is never read
  {
    x: [1, 1, 3, 3, 3],
    w: [2, 1, 2, 2, 2],
    attrs: convAttrs(3, {
      padding: [
        [0, 0],
        [1, 0],
        [0, 1],
      ],
    }),
  },
  {
    x: [1, 2, 3, 2, 3],
    w: [2, 1, 2, 1, 2],
    attrs: convAttrs(3, {
      stride: [2, 1, 2],
      groups: 2,
      padding: [
        [1, 0],
        [0, 0],
        [1, 0],
      ],
    }),
  },
];

/** One sample per convolution case, with what the primitive itself takes. */
const convSamples = (make: (k: ConvCase, y: readonly number[]) => Case): Sample =>
  gradients(
    ...convCases.map((k) => {
      const [x, w] = [k.x, k.w].map((shape) => l.input({ shape, dtype: "f64" }));
      return make(k, c.conv(x, w, k.attrs).shape);
    }),
  );

const windows = [
  { axis: 0, size: 2, stride: 1, dilation: 1, length: 5 },
  { axis: 0, size: 3, stride: 2, dilation: 1, length: 6 }, // overlapping, the last element is in no window
  { axis: 0, size: 2, stride: 3, dilation: 1, length: 7 }, // gaps between windows
  { axis: 0, size: 3, stride: 2, dilation: 2, length: 7 },
];

/** Two carries, two sequences and one constant; one stacked output. */
function recurrence(reverse: boolean, dtype: DType): control.ScanAttrs {
  const [h, s] = [l.input({ shape: [2], dtype }), l.input({ shape: [], dtype })];
  const [x, gate] = [l.input({ shape: [2], dtype }), l.input({ shape: [], dtype })];
  const w = l.input({ shape: [2, 2], dtype });
  const product = b.reshape(c.dot(b.reshape(h, [1, 2]), w), [2]);
  const next = e.tanh(e.add(product, e.mul(x, b.insertAxes(gate, [0], [2]))));
  const sum = e.add(e.mul(s, gate), b.sum(e.mul(next, x), [0]));
  const stacked = e.mul(next, b.insertAxes(s, [0], [2]));
  return {
    body: { inputs: [h, s, x, gate, w], outputs: [next, sum, stacked] },
    length: 3,
    carries: 2,
    sequences: 2,
    reverse,
  };
}
const recurrencePoints = [
  spread([2], -1, 1),
  spread([], 0, 1),
  spread([3, 2], -1, 1, 3),
  spread([3], -1, 1, 4),
  spread([2, 2], -1, 1, 5),
];
const recurrent =
  (reverse: boolean, indices: readonly number[]): Differentiable =>
  (...inputs) => {
    const node = control.scan(inputs, recurrence(reverse, inputs[0].dtype));
    return indices.map((i) => control.pick(node, i));
  };

const bools = (...list: number[]) => vector("bool", ...list);
const comparison = (op: (x: Node, y: Node) => Node, expected: readonly number[]): Sample =>
  values(
    [
      [op, smooth, other],
      [(x) => op(x, x), smooth],
    ],
    [() => op(vector("f64", 1, 2, 3), vector("f64", 2, 2, 2)), expected],
  );
const bitwise = (op: (x: Node, y: Node) => Node, expected: number, truth: readonly number[]): Sample =>
  values(
    [[op, smooth, other]],
    [() => op(vector("i32", 12), vector("i32", 10)), [expected]],
    [() => op(bools(0, 0, 1, 1), bools(0, 1, 0, 1)), truth],
  );

const argCases = (op: (x: Node, axes: readonly number[]) => Node): Case[] => [
  [(x) => op(x, [1]), smooth],
  [(x) => op(x, [0, 2]), spread([3, 2, 5], -1, 1)],
  [(x) => op(x, [0]), spread([7, 40], -1, 1)],
];

/** What native kernels and the reference compute in. */
export const dtypes = ["f32", "f64", "f16", "bf16", "i32", "u32", "u8", "bool"] as const satisfies readonly DType[];

/** A sample per primitive: an operation without one is a type error. */
/** Two queries that look evenly at two keys. */
const evenAttention = [
  [0, 0],
  [0, 0],
  [4, 6],
].map((values) => leaf("f64", [2, 1], values));
const gradOfEven = (causal: boolean): Node => {
  const attrs = { scale: 1, causal };
  return at.attentionGrad(evenAttention, at.attention(evenAttention, attrs), leaf("f64", [2, 1], [1, 3]), attrs);
};

/** Queries, keys and values, alone, with a bool and with a float mask; more keys than queries, and wider values. */
function attentionCases(fn: (operands: readonly Node[], attrs: at.AttentionAttrs) => Node): readonly Case[] {
  const points = [spread([2, 3, 2], -2, 2), spread([2, 5, 2], -2, 2, 3), spread([2, 5, 3], -1, 1, 5)];
  const seen = leaf(
    "bool",
    [2, 3, 5],
    Array.from({ length: 30 }, (_, i) => Number(i >= 5 && (i * 7) % 3 > 0)),
  );
  return [
    [(q, k, v) => fn([q, k, v], { scale: 0.7, causal: false }), ...points],
    [(q, k, v) => fn([q, k, v], { scale: 0.7, causal: true }), ...points],
    [(q, k, v) => fn([q, k, v, seen], { scale: 0.7, causal: false }), ...points],
    [(q, k, v, m) => fn([q, k, v, m], { scale: 0.7, causal: true }), ...points, spread([2, 3, 5], -1, 1, 7)],
  ];
}

/** [b.., tq, dv] of the flat result. */
function attentionOutput(operands: readonly Node[], attrs: at.AttentionAttrs): Node {
  const { batch, tq, dv, outputs } = at.attentionSizes("attention", operands);
  const part = m.slice(at.attention(operands, attrs), { starts: [0], sizes: [outputs], steps: [1] });
  return b.reshape(part, [...batch, tq, dv]);
}

export const samples = {
  constant: values([[(x) => l.constantLike(x, 2.5), smooth]], [() => l.constant(2.5, [2], "f64"), [2.5, 2.5]]),
  iota: values([[(x) => l.iota(x.shape, 1, x.dtype), smooth]], [() => l.iota([2, 3], 1), [0, 1, 2, 0, 1, 2]]),
  data: values([[(x) => leaf(x.dtype, [2], [0, 1]), smooth]], [() => vector("f64", 1, 2), [1, 2]]),
  input: gradients([(x) => x, smooth]),

  neg: gradients([e.neg, smooth]),
  abs: gradients([e.abs, smooth]),
  sign: gradients([e.sign, smooth]),
  floor: gradients([e.floor, vec(-1.5, 0.5, 1.2)]),
  ceil: gradients([e.ceil, vec(-1.5, 0.5, 1.2)]),
  round: gradients([e.round, vec(-1.2, 0.4, 1.7)]),
  exp: gradients([e.exp, smooth]),
  expm1: gradients([e.expm1, smooth]),
  log: gradients([e.log, positive]),
  log1p: gradients([e.log1p, spread([4], -0.5, 2)]),
  sqrt: gradients([e.sqrt, positive]),
  sin: gradients([e.sin, smooth]),
  cos: gradients([e.cos, smooth]),
  atan: gradients([e.atan, smooth]),
  tanh: gradients([e.tanh, smooth]),
  erf: gradients([e.erf, spread([8], -5, 5)]),
  not: values([[e.not, smooth]], [() => e.not(bools(0, 1)), [1, 0]]),
  add: gradients([e.add, smooth, other], [(x) => e.add(x, x), smooth]),
  sub: gradients([e.sub, smooth, other]),
  mul: gradients([e.mul, smooth, other], [(x) => e.mul(x, x), smooth]),
  div: gradients([e.div, smooth, positive]),
  mod: gradients([e.mod, vec(5.3, -5.3, 5.3, -5.3, 0.4), vec(2, 2, -2, -2, 3)]),
  pow: gradients(
    [e.pow, positive, other],
    [(x) => e.pow(x, vector(x.dtype, 2, 2, 3, 3, 0, 1)), vec(-1.5, 0, 0, -0.7, 0, 0)],
    [(x) => e.pow(x, x), positive],
    [e.pow, vec(2, 0.5), vec(0, 1)],
  ),
  maximum: gradients([e.maximum, smooth, other]),
  minimum: gradients([e.minimum, smooth, other]),
  eq: comparison(e.eq, [0, 1, 0]),
  ne: comparison(e.ne, [1, 0, 1]),
  lt: comparison(e.lt, [1, 0, 0]),
  le: comparison(e.le, [1, 1, 0]),
  gt: comparison(e.gt, [0, 0, 1]),
  ge: comparison(e.ge, [0, 1, 1]),
  and: bitwise(e.and, 8, [0, 0, 0, 1]),
  or: bitwise(e.or, 14, [0, 1, 1, 1]),
  xor: bitwise(e.xor, 6, [0, 1, 1, 0]),
  where: gradients([(x, y) => e.where(leaf("bool", [2, 3], [1, 0, 1, 0, 0, 1]), x, y), smooth, other]),
  cast: values(
    [[(x) => dtypes.map((dtype) => e.cast(x, dtype)), spread([40], -400, 400)]],
    [() => e.cast(vector("f64", 0.1), "f32"), [Math.fround(0.1)]],
    [() => e.cast(vector("f32", -1.9, 2.9), "i32"), [-1, 2]],
  ),

  sum: gradients(
    [(x) => b.sum(x, [0]), smooth],
    [(x) => b.sum(x, [1]), smooth],
    [(x) => b.sum(x, [0, 2]), spread([2, 3, 2], -1, 1)],
    [(x) => b.sum(e.mul(x, x), [0, 1]), smooth],
  ),
  prod: gradients(
    [(x) => r.prod(x, [0]), vec(1.5, -0.5, 2)],
    [(x) => r.prod(x, [0]), vec(1.5, 0, 2)],
    [(x) => r.prod(x, [0]), vec(0, 3, 0, 2)],
    [(x) => r.prod(x, [0, 2]), spread([2, 3, 2], -2, 2)],
    [(x) => r.prod(x, [0]), vec(3)],
  ),
  max: gradients([(x) => r.max(x, [1]), smooth], [(x) => r.max(x, [0, 2]), spread([2, 2, 3], -2, 2)]),
  min: gradients([(x) => r.min(x, [0]), smooth], [(x) => r.min(x, [0, 1]), smooth]),
  argmax: values(argCases(r.argmax), [() => r.argmax(leaf("f64", [2, 3], [1, 5, 2, 7, 0, 7]), [1]), [1, 0]]),
  argmin: values(argCases(r.argmin), [() => r.argmin(leaf("f64", [2, 3], [1, 5, 1, 7, 0, 7]), [1]), [0, 1]]),
  cumsum: gradients(
    [(x) => r.cumsum(x, { axis: 1, reverse: false, exclusive: false }), smooth],
    [(x) => r.cumsum(x, { axis: 0, reverse: true, exclusive: false }), smooth],
    [(x) => r.cumsum(x, { axis: 1, reverse: false, exclusive: true }), smooth],
    [(x) => r.cumsum(x, { axis: 1, reverse: true, exclusive: true }), smooth],
  ),

  reshape: gradients([(x) => b.reshape(x, [3, 1, 2]), smooth]),
  permute: gradients([(x) => m.permute(x, [2, 0, 1]), spread([2, 3, 2], -1, 1)]),
  broadcast: gradients([(x) => b.broadcast(x, [4, 3, 2]), spread([4, 1, 2], -1, 1)]),
  slice: gradients(
    [(x) => m.slice(x, { starts: [1, 0], sizes: [2, 2], steps: [1, 1] }), spread([4, 3], -1, 1)],
    [(x) => m.slice(x, { starts: [1, 0], sizes: [2, 2], steps: [2, 2] }), spread([5, 3], -1, 1)],
    [(x) => m.slice(x, { starts: [0, 2], sizes: [2, 1], steps: [3, 5] }), spread([5, 3], -1, 1)],
  ),
  pad: gradients(
    [(x) => m.pad(x, { lo: [1, 0], hi: [0, 2], interior: [0, 0], value: 3 }), smooth],
    [(x) => m.pad(x, { lo: [0, 1], hi: [1, 0], interior: [2, 1], value: 0 }), smooth],
  ),
  flip: gradients([(x) => m.flip(x, [1]), smooth], [(x) => m.flip(x, [0, 1]), smooth]),
  concat: gradients(
    [(x, y) => m.concat([x, y], 1), smooth, spread([2, 1], -1, 1)],
    [(x, y) => m.concat([x, y, x], 0), smooth, other],
  ),
  unfold: gradients(
    ...windows.map(({ length, ...attrs }) => [(x: Node) => m.unfold(x, attrs), spread([length, 2], -1, 1)] as const),
    [(x) => m.unfold(x, { axis: 1, size: 2, stride: 1, dilation: 1 }), spread([2, 3, 2], -1, 1)],
  ),
  fold: gradients(
    ...windows.map(({ length, size, ...attrs }) => {
      const count = Math.floor((length - (size - 1) * attrs.dilation - 1) / attrs.stride) + 1;
      return [(x: Node) => m.fold(x, { ...attrs, length }), spread([count, size, 2], -1, 1)] as const;
    }),
    [(x) => m.fold(x, { axis: 1, length: 3, stride: 1, dilation: 1 }), spread([2, 2, 2, 2], -1, 1)],
  ),

  dot: gradients(
    [(x, y) => c.dot(x, y), spread([2, 3], -1, 1), spread([3, 4], -1, 1, 1)],
    [(x, y) => c.dot(x, y), spread([2, 2, 3], -1, 1), spread([2, 3, 1], -1, 1, 1)],
    [(x) => c.dot(x, x), spread([3, 3], -1, 1)],
  ),
  conv: convSamples(({ x, w, attrs }) => [(p, q) => c.conv(p, q, attrs), spread(x, -1, 1), spread(w, -1, 1, 1)]),
  convInputGrad: convSamples(({ x, w, attrs }, y) => [
    (p, q) => c.convInputGrad(p, q, { ...attrs, spatial: x.slice(2) }),
    spread(y, -1, 1),
    spread(w, -1, 1, 1),
  ]),
  convWeightGrad: convSamples(({ x, w, attrs }, y) => [
    (p, q) => c.convWeightGrad(p, q, { ...attrs, kernel: w.slice(2) }),
    spread(x, -1, 1),
    spread(y, -1, 1, 1),
  ]),

  attention: values(
    attentionCases((operands, attrs) => at.attention(operands, attrs)),
    [() => at.attention(evenAttention, { scale: 1, causal: false }), [5, 5, Math.LN2, Math.LN2]],
    [() => at.attention(evenAttention, { scale: 1, causal: true }), [4, 5, 0, Math.LN2]],
  ),
  attentionGrad: values(
    attentionCases((operands, attrs) => {
      const ct = e.sin(attentionOutput(operands, attrs));
      return at.attentionGrad(operands, at.attention(operands, attrs), ct, attrs);
    }),
    [() => gradOfEven(false), [0, 0, 0, 0, 2, 2]],
    [() => gradOfEven(true), [0, 0, 0, 0, 2.5, 1.5]],
  ),

  gather: gradients(
    [(x) => ix.gather(x, vector("i32", 2, 0, 2, 2, -1), 0), spread([3], -1, 1)], // repeated, and from the end
    [(x) => ix.gather(x, leaf("i32", [2, 2], [2, 0, 1, 1]), 1), smooth],
    [(x) => ix.gather(x, leaf("i32", [1, 3], [1, 0, 1]), 0), smooth],
  ),
  scatterAdd: gradients(
    [(u) => ix.scatterAdd(vector("i32", 2, 0, 2, -1), u, { axis: 0, length: 4 }), spread([4], -1, 1)],
    [(u) => ix.scatterAdd(leaf("i32", [2, 3], [2, 0, 2, 1, 1, 1]), u, { axis: 1, length: 3 }), smooth],
  ),
  argsort: values(
    [
      [(x) => ix.argsort(x, { axis: 0, descending: false, limit: 2 }), smooth],
      [(x) => ix.argsort(x, { axis: 1, descending: true, limit: 7 }), spread([3, 7, 2], -1, 1)],
    ],
    [() => ix.argsort(vector("f64", 3, 1, 2, 1), { axis: 0, descending: false, limit: 3 }), [1, 3, 2]],
  ),

  stopGradient: gradients([(x) => e.mul(x, control.stopGradient(l.constantLike(x, 3))), smooth]),
  barrier: gradients([(x, y) => e.mul(control.barrier(x, [y]), y), smooth, other]),
  scan: gradients(
    [recurrent(false, [0, 1, 2]), ...recurrencePoints],
    [recurrent(true, [0, 1, 2]), ...recurrencePoints],
  ),
  pick: gradients(
    [recurrent(false, [2]), ...recurrencePoints], // only the stacked output
    [recurrent(true, [3, 4]), ...recurrencePoints], // the carries that each step received
  ),
  randomBits: values(
    [[(x) => control.randomBits(x, [3, 5]), vec(7, 11, 13)]],
    [() => control.randomBits(vector("u32", 0, 0, 0), [1]), [0x6b200159]],
  ),
} satisfies { [P in PrimitiveName]: Sample } as Readonly<Record<PrimitiveName, Sample>>;
