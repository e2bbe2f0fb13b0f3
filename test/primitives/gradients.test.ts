import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { makeNode, type Node, reachable } from "../../src/graph/node.ts";
import * as b from "../../src/primitives/broadcast.ts";
import * as c from "../../src/primitives/contract.ts";
import * as control from "../../src/primitives/control.ts";
import * as e from "../../src/primitives/elementwise.ts";
import type { PrimitiveName } from "../../src/primitives/index.ts";
import * as ix from "../../src/primitives/indexing.ts";
import * as l from "../../src/primitives/leaf.ts";
import * as m from "../../src/primitives/movement.ts";
import * as r from "../../src/primitives/reduce.ts";
import { checkGrads, type Differentiable, type Point, spread } from "../support/check-grads.ts";
import { evaluate, leaf, vector } from "../support/evaluate.ts";

/** Points at which gradients of first and second order are checked, or values where there is no gradient. */
type Sample =
  | { readonly gradients: readonly (readonly [Differentiable, ...Point[]])[] }
  | { readonly values: readonly (readonly [node: () => Node, expected: readonly number[]])[] };

const gradients = (...gradients: (readonly [Differentiable, ...Point[]])[]): Sample => ({ gradients });
const values = (...values: (readonly [() => Node, readonly number[]])[]): Sample => ({ values });

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
const convSamples = (make: (k: ConvCase, y: readonly number[]) => readonly [Differentiable, ...Point[]]): Sample => ({
  gradients: convCases.map((k) => {
    const [x, w] = [k.x, k.w].map((shape) => l.input({ shape, dtype: "f64" }));
    return make(k, c.conv(x, w, k.attrs).shape);
  }),
});

const windows = [
  { axis: 0, size: 2, stride: 1, dilation: 1, length: 5 },
  { axis: 0, size: 3, stride: 2, dilation: 1, length: 6 }, // overlapping, the last element is in no window
  { axis: 0, size: 2, stride: 3, dilation: 1, length: 7 }, // gaps between windows
  { axis: 0, size: 3, stride: 2, dilation: 2, length: 7 },
];

const scalar = { shape: [], dtype: "f64" } as const;
/** Two carries, two sequences and one constant; one stacked output. */
function recurrence(reverse: boolean): control.ScanAttrs {
  const [h, s] = [l.input({ shape: [2], dtype: "f64" }), l.input(scalar)];
  const [x, gate] = [l.input({ shape: [2], dtype: "f64" }), l.input(scalar)];
  const w = l.input({ shape: [2, 2], dtype: "f64" });
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
    const node = control.scan(inputs, recurrence(reverse));
    return indices.map((i) => control.pick(node, i));
  };

const bools = (...list: number[]) => vector("bool", ...list);
const comparison = (op: (x: Node, y: Node) => Node, expected: readonly number[]): Sample =>
  values([() => op(vector("f64", 1, 2, 3), vector("f64", 2, 2, 2)), expected]);
const bitwise = (op: (x: Node, y: Node) => Node, expected: number, truth: readonly number[]): Sample =>
  values(
    [() => op(vector("i32", 12), vector("i32", 10)), [expected]],
    [() => op(bools(0, 0, 1, 1), bools(0, 1, 0, 1)), truth],
  );

const samples = {
  constant: values([() => l.constant(2.5, [2], "f64"), [2.5, 2.5]]),
  iota: values([() => l.iota([2, 3], 1), [0, 1, 2, 0, 1, 2]]),
  data: values([() => vector("f64", 1, 2), [1, 2]]),
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
  not: values([() => e.not(bools(0, 1)), [1, 0]]),
  add: gradients([e.add, smooth, other], [(x) => e.add(x, x), smooth]),
  sub: gradients([e.sub, smooth, other]),
  mul: gradients([e.mul, smooth, other], [(x) => e.mul(x, x), smooth]),
  div: gradients([e.div, smooth, positive]),
  mod: gradients([e.mod, vec(5.3, -5.3, 5.3, -5.3, 0.4), vec(2, 2, -2, -2, 3)]),
  pow: gradients(
    [e.pow, positive, other],
    [(x) => e.pow(x, vector("f64", 2, 2, 3, 3, 0, 1)), vec(-1.5, 0, 0, -0.7, 0, 0)],
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
  argmax: values([() => r.argmax(leaf("f64", [2, 3], [1, 5, 2, 7, 0, 7]), [1]), [1, 0]]),
  argmin: values([() => r.argmin(leaf("f64", [2, 3], [1, 5, 1, 7, 0, 7]), [1]), [0, 1]]),
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
    [c.dot, spread([2, 3], -1, 1), spread([3, 4], -1, 1, 1)],
    [c.dot, spread([2, 2, 3], -1, 1), spread([2, 3, 1], -1, 1, 1)],
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

  gather: gradients(
    [(x) => ix.gather(x, vector("i32", 2, 0, 2, 2, -1), 0), spread([3], -1, 1)], // repeated, and from the end
    [(x) => ix.gather(x, leaf("i32", [2, 2], [2, 0, 1, 1]), 1), smooth],
    [(x) => ix.gather(x, leaf("i32", [1, 3], [1, 0, 1]), 0), smooth],
  ),
  scatterAdd: gradients(
    [(u) => ix.scatterAdd(vector("i32", 2, 0, 2, -1), u, { axis: 0, length: 4 }), spread([4], -1, 1)],
    [(u) => ix.scatterAdd(leaf("i32", [2, 3], [2, 0, 2, 1, 1, 1]), u, { axis: 1, length: 3 }), smooth],
  ),
  argsort: values([() => ix.argsort(vector("f64", 3, 1, 2, 1), { axis: 0, descending: false, limit: 3 }), [1, 3, 2]]),

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
  randomBits: values([() => control.randomBits(vector("u32", 0, 0, 0), [1]), [0x6b200159]]),
} satisfies { [P in PrimitiveName]: Sample };

describe("gradients of first and second order", () => {
  for (const [name, sample] of Object.entries<Sample>(samples)) {
    if ("values" in sample)
      test(`${name} (values)`, () => {
        for (const [make, expected] of sample.values) {
          const node = make();
          assert.ok(uses([node], name));
          assert.deepEqual(evaluate(node), expected);
        }
      });
    else
      test(name, () => {
        for (const [fn, ...points] of sample.gradients) {
          const made = fn(...points.map(({ shape }) => l.input({ shape, dtype: "f64" })));
          assert.ok(uses("prim" in made ? [made] : made, name));
          checkGrads(fn, points);
        }
      });
  }
});

const uses = (outputs: readonly Node[], name: string) => reachable(outputs).some((node) => node.prim.name === name);

/** The gradient of the sum of `fn(x)`. */
function gradient(fn: (x: Node) => Node, x: Node): number[] {
  const out = fn(x);
  const [grad] = backward([out], [l.constantLike(out, 1)], [x]);
  assert.ok(grad);
  return evaluate(grad);
}

test("the check sees a wrong gradient, and a wrong gradient of the gradient", () => {
  assert.throws(() => checkGrads((x) => e.mul(x, control.stopGradient(x)), [smooth]), /numerically/);
  const forgetful: typeof e.expPrim = { ...e.expPrim, vjp: ({ ct, out }) => [e.mul(ct, control.stopGradient(out))] };
  const exp = (x: Node) => makeNode(forgetful, [x], {});
  checkGrads(exp, [smooth], { order: 1 });
  assert.throws(() => checkGrads(exp, [smooth], { order: 2 }), /numerically/);
});

describe("gradients where derivatives do not exist", () => {
  test("equal extrema share the cotangent", () => {
    assert.deepEqual(
      gradient((x) => r.max(x, [0]), vector("f64", 3, 1, 3)),
      [0.5, 0, 0.5],
    );
    assert.deepEqual(
      gradient((x) => r.min(x, [0]), vector("f64", 1, 1, 3, 1)),
      [1 / 3, 1 / 3, 0, 1 / 3],
    );
    const y = vector("f64", 1, 2, 3);
    assert.deepEqual(
      gradient((x) => e.maximum(x, y), vector("f64", 1, 3, 0)),
      [0.5, 1, 0],
    );
    assert.deepEqual(
      gradient((x) => e.minimum(x, y), vector("f64", 1, 3, 0)),
      [0.5, 0, 1],
    );
  });

  test("abs at 0 is flat", () => {
    assert.deepEqual(gradient(e.abs, vector("f64", 0, -2)), [0, -1]);
  });

  test("pow at 0 has finite gradients", () => {
    const zero = vector("f64", 0, 0, 0);
    assert.deepEqual(
      gradient((x) => e.pow(x, vector("f64", 0, 1, 2)), zero),
      [0, 1, 0],
    );
    assert.deepEqual(
      gradient((y) => e.pow(zero, y), vector("f64", 0, 1, 2)),
      [0, 0, 0],
    );
  });

  test("nothing flows through stopGradient, comparisons, and integers", () => {
    const x = vector("f64", 1, 2);
    const blocked = [
      control.stopGradient(x),
      e.cast(e.gt(x, l.constantLike(x, 1)), "f64"),
      e.cast(e.cast(x, "i32"), "f64"),
    ];
    for (const out of blocked) assert.deepEqual(backward([out], [l.constantLike(out, 1)], [x]), [null]);
  });

  test("a cast carries the gradient in the dtype of its input", () => {
    const x = vector("f32", 1, 2);
    const out = e.cast(x, "f64");
    const [grad] = backward([out], [vector("f64", 0.1, 3)], [x]);
    assert.equal(grad?.dtype, "f32");
    assert.deepEqual(evaluate(grad), [Math.fround(0.1), 3]);
  });
});
