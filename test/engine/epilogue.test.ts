/** Kernels that run over the parts of a product or convolution as these become complete. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  backendStatus,
  conv2d,
  conv3d,
  grad,
  jit,
  scan,
  setBackend,
  setProcessor,
  setThreads,
  type Tensor,
  tensor,
  variable,
  withMatrixPrecision,
} from "../../src/index.ts";

const native = backendStatus().some(({ name, works }) => name === "native" && works);
after(() => setBackend("auto"));

/** Values in [-1, 1) that repeat late. */
function values(shape: readonly number[], seed: number): Tensor {
  let state = seed >>> 0;
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    }),
    { shape },
  );
}

interface Case {
  readonly name: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  /** Of the result, for what is added to it. */
  readonly y: readonly number[];
  readonly fn: (x: Tensor, w: Tensor) => Tensor;
}

const conv = (stride: number, padding: number, groups = 1): Case["fn"] => {
  return (x, w) => conv2d(x, w, null, { stride, padding, groups });
};
const matmul: Case["fn"] = (x, w) => x.matmul(w);
const cases: readonly Case[] = [
  {
    name: "3x3, rows that end inside a vector",
    x: [2, 5, 41, 41],
    w: [12, 5, 3, 3],
    y: [2, 12, 41, 41],
    fn: conv(1, 1),
  },
  { name: "3x3, images side by side", x: [5, 16, 7, 7], w: [40, 16, 3, 3], y: [5, 40, 7, 7], fn: conv(1, 1) },
  { name: "3x3 in several slices", x: [2, 300, 7, 7], w: [45, 300, 3, 3], y: [2, 45, 7, 7], fn: conv(1, 1) },
  { name: "7x7, stride 2", x: [1, 3, 60, 60], w: [16, 3, 7, 7], y: [1, 16, 30, 30], fn: conv(2, 3) },
  { name: "1x1 over a large map", x: [1, 24, 48, 48], w: [70, 24, 1, 1], y: [1, 70, 48, 48], fn: conv(1, 0) },
  { name: "1x1, stride 2", x: [2, 32, 28, 28], w: [96, 32, 1, 1], y: [2, 96, 14, 14], fn: conv(2, 0) },
  { name: "groups", x: [2, 24, 19, 19], w: [48, 6, 3, 3], y: [2, 48, 19, 19], fn: conv(1, 1, 4) },
  { name: "depthwise, small map", x: [2, 40, 14, 14], w: [40, 1, 3, 3], y: [2, 40, 14, 14], fn: conv(1, 1, 40) },
  { name: "depthwise, large map", x: [1, 5, 150, 150], w: [5, 1, 3, 3], y: [1, 5, 150, 150], fn: conv(1, 1, 5) },
  {
    name: "3d",
    x: [1, 4, 6, 9, 20],
    w: [10, 4, 3, 3, 3],
    y: [1, 10, 6, 9, 20],
    fn: (x, w) => conv3d(x, w, null, { padding: 1 }),
  },
  { name: "product, direct", x: [20, 30], w: [30, 50], y: [20, 50], fn: matmul },
  { name: "product, blocked", x: [150, 170], w: [170, 331], y: [150, 331], fn: matmul },
  { name: "product in several slices", x: [70, 2100], w: [2100, 79], y: [70, 79], fn: matmul },
  { name: "product, one row", x: [1, 300], w: [300, 500], y: [1, 500], fn: matmul },
  { name: "batch of products", x: [5, 130, 141], w: [5, 141, 129], y: [5, 130, 129], fn: matmul },
  { name: "batch of small products", x: [6, 30, 21], w: [6, 21, 33], y: [6, 30, 33], fn: matmul },
];

type Apply = (input: Tensor, residual: Tensor) => Tensor;

/** A factor and a term that differ by channel or column, a residual, an activation. */
function joined({ x, y, fn }: Case, w: Tensor): Apply {
  const spatial = x.length - 2;
  const broad = fn === matmul ? [y[y.length - 1]] : [y[1], ...new Array(spatial).fill(1)];
  const [factor, term] = [values(broad, 5), values(broad, 6)];
  return (input, residual) => fn(input, w).mul(factor).add(term).add(residual).maximum(tensor(-0.25));
}

const onReference = (fn: () => Tensor): ArrayLike<number> => {
  setBackend("reference");
  try {
    return fn().dataSync();
  } finally {
    setBackend("native");
  }
};

function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, name: string): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++)
    assert.ok(
      Math.abs(got[i] - expected[i]) <= tolerance * (1 + Math.abs(expected[i])),
      `${name}: element ${i} is ${got[i]}, not ${expected[i]}`,
    );
}

/** What is expected of a case: by default what the reference backend computes. */
type Expected = (fn: Apply, inputs: [Tensor, Tensor]) => ArrayLike<number>;

function assertJoins(c: Case, expected: Expected = (fn, inputs) => onReference(() => fn(...inputs))): void {
  const [x, residual] = [values(c.x, 1), values(c.y, 3)];
  const weights = variable(values(c.w, 2));
  const fn = joined(c, weights);
  const jitted = jit(fn);
  assert.match(jitted.describe(x, residual), /(conv|gemm)\w*\(.*then /s, `${c.name} takes the kernel along`);
  const results = [1, 2].map((threads) => {
    setThreads(threads);
    return jitted(x, residual).dataSync();
  });
  setThreads(0);
  assertClose(results[0], expected(fn, [x, residual]), 1e-4, c.name);
  assert.deepEqual(results[1], results[0], `${c.name}: the same on two threads`);
}

describe("epilogues", { skip: !native && "no native backend here" }, () => {
  for (const c of cases)
    it(c.name, () => {
      setBackend("native");
      assertJoins(c);
    });

  it("of products of bf16", () => {
    setBackend("native");
    withMatrixPrecision("medium", () => {
      // Where the product itself is read as well, the kernel follows it.
      const apart: Expected = (fn, inputs) => {
        const both = jit((x: Tensor, y: Tensor) => [fn(x, y), fn(x, y.mul(2))]);
        assert.doesNotMatch(both.describe(...inputs), /then /);
        return both(...inputs)[0].dataSync();
      };
      for (const c of cases) assertJoins(c, apart);
    });
  });

  it("without AVX-512", { skip: process.arch !== "x64" && "not here" }, () => {
    setProcessor("x86-64-v3");
    setBackend("native");
    try {
      for (const c of cases) assertJoins(c);
    } finally {
      setProcessor("native");
    }
  });

  it("take no kernel that reads what the product would overwrite", () => {
    setBackend("native");
    const [x, start] = [values([150, 170], 1), values([170, 331], 2)];
    const step = () => {
      const w = variable(start);
      const descend = jit((input: Tensor) => {
        const g = grad((v: Tensor) => input.matmul(v).square().sum())(w);
        w.assign(w.sub(g.mul(1e-3)));
      });
      for (let i = 0; i < 2; i++) descend(x);
      return w.mul(1);
    };
    const expected = onReference(step);
    assertClose(step().dataSync(), expected, 1e-4, "updated weights");
  });

  it("in the body of a loop", () => {
    setBackend("native");
    const [xs, w, h] = [values([7, 40, 64], 1), values([64, 64], 2).mul(0.1), values([40, 64], 3)];
    const run = (x: Tensor) => scan(([state], row) => [[state.matmul(w).add(row).tanh()], state], [h], x)[0][0];
    const jitted = jit(run);
    assert.match(jitted.describe(xs), /loop.*gemm\w*\(.*then /s);
    assertClose(
      jitted(xs).dataSync(),
      onReference(() => run(xs)),
      1e-5,
      "state",
    );
  });
});
