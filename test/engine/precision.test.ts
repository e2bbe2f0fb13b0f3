import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findToolchain } from "../../src/backends/native/toolchain.ts";
import {
  backendStatus,
  conv2d,
  conv3d,
  convTranspose2d,
  grad,
  jit,
  matrixPrecision,
  setBackend,
  setMatrixPrecision,
  setProcessor,
  type Tensor,
  tensor,
  variable,
  withMatrixPrecision,
} from "../../src/index.ts";

const native = backendStatus().find((b) => b.name === "native");
const hasBf16 = native?.multipliesBf16 === true;

type Floats = Float32Array<ArrayBuffer>;

/** Values in [-1, 1) that f32 holds and bf16 does not. */
function values(shape: readonly number[], seed: number): Floats {
  let state = seed >>> 0;
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** To the nearest bf16, ties to even. */
function toBf16(x: Floats): Floats {
  const bits = new Uint32Array(x.buffer.slice(0));
  for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer);
}

/** Largest difference over the largest value. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let [most, scale] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(b[i]));
    assert.ok(!Number.isNaN(a[i]), `value ${i} is NaN`);
  }
  return most / scale;
}

interface Case {
  readonly name: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly fn: (a: Tensor, b: Tensor) => Tensor;
}

const conv = (stride: number, padding: number, dilation = 1, groups = 1): Case["fn"] => {
  return (x, w) => conv2d(x, w, null, { stride, padding, dilation, groups });
};
const cases: readonly Case[] = [
  { name: "product", a: [150, 170], b: [170, 131], fn: (a, b) => a.matmul(b) },
  {
    name: "product, odd depth, transposed",
    a: [201, 137],
    b: [97, 201],
    fn: (a, b) => a.transpose().matmul(b.transpose()),
  },
  { name: "batch of products", a: [5, 130, 141], b: [5, 141, 129], fn: (a, b) => a.matmul(b) },
  { name: "3x3", a: [3, 16, 19, 17], b: [24, 16, 3, 3], fn: conv(1, 1) },
  { name: "3x3, odd channels, one image", a: [1, 5, 11, 33], b: [17, 5, 3, 3], fn: conv(1, 1) },
  { name: "7x7, stride 2, 3 channels", a: [2, 3, 40, 40], b: [16, 3, 7, 7], fn: conv(2, 3) },
  { name: "1x1, stride 2", a: [4, 32, 14, 14], b: [40, 32, 1, 1], fn: conv(2, 0) },
  { name: "1x1", a: [4, 33, 7, 7], b: [130, 33, 1, 1], fn: conv(1, 0) },
  { name: "many rows, small map", a: [5, 24, 7, 7], b: [128, 24, 3, 3], fn: conv(1, 1) },
  { name: "groups and dilation", a: [2, 16, 16, 16], b: [32, 4, 3, 3], fn: conv(1, 2, 2, 4) },
  { name: "depthwise", a: [2, 16, 16, 16], b: [16, 1, 3, 3], fn: conv(1, 1, 1, 16) },
  {
    name: "transposed",
    a: [2, 24, 9, 9],
    b: [24, 10, 4, 4],
    fn: (x, w) => convTranspose2d(x, w, null, { stride: 2, padding: 1 }),
  },
  { name: "3d", a: [2, 8, 6, 7, 8], b: [12, 8, 3, 3, 3], fn: (x, w) => conv3d(x, w, null, { padding: 1 }) },
];

/** The result and both gradients of a weighted sum of it. */
const results = (c: Case, x: Floats, y: Floats): Floats[] => resultsIn("f32", c, x, y) as Floats[];

function resultsIn(dtype: "f32" | "f64", { a, b, fn }: Case, x: Floats, y: Floats) {
  const [ta, tb] = [tensor(x, { shape: a }).cast(dtype), tensor(y, { shape: b }).cast(dtype)];
  const out = fn(ta, tb);
  const weights = tensor(toBf16(values(out.shape, 3)), { shape: out.shape }).cast(dtype);
  const [ga, gb] = grad(([p, q]: [Tensor, Tensor]) => fn(p, q).mul(weights).sum())([ta, tb]);
  return [out, ga, gb].map((t) => t.dataSync());
}

/** Checks that `high` is at most 4 times as far from f64 as f32 is: the result and both gradients. */
function assertHigh(c: Case): void {
  const [x, y] = [values(c.a, 1), values(c.b, 2)];
  const truth = resultsIn("f64", c, x, y) as Float64Array[];
  const high = withMatrixPrecision("high", () => results(c, x, y));
  const highest = results(c, x, y);
  truth.forEach((t, i) => {
    const [ours, f32] = [distance(high[i], t), distance(highest[i], t)];
    assert.ok(ours <= 4 * f32 + 1e-8, `${c.name}, result ${i}: ${ours}, f32 ${f32}`);
  });
}

/** Checks that each result is that of rounded operands, or where rounding does not pay, that of f32. */
function assertRounds(c: Case): void {
  const [x, y] = [values(c.a, 1), values(c.b, 2)];
  const medium = withMatrixPrecision("medium", () => results(c, x, y));
  const exact = results(c, x, y);
  const rounded = results(c, toBf16(x), toBf16(y));
  medium.forEach((m, i) => {
    const nearest = Math.min(distance(m, rounded[i]), distance(m, exact[i]));
    assert.ok(nearest < 2e-6, `result ${i}: ${nearest}`);
    assert.ok(distance(m, exact[i]) < 0.01, `result ${i} is ${distance(m, exact[i])} from exact`);
  });
}

describe("matrix precision", { skip: native?.works !== true && "no native backend here" }, () => {
  for (const c of cases)
    it(`medium multiplies operands rounded to bf16: ${c.name}`, { skip: !hasBf16 && "no bf16 products here" }, () =>
      assertRounds(c),
    );

  it("medium does round a large product", { skip: !hasBf16 && "no bf16 products here" }, () => {
    const [c] = cases;
    const [x, y] = [values(c.a, 1), values(c.b, 2)];
    const medium = withMatrixPrecision("medium", () => results(c, x, y));
    results(c, x, y).forEach((exact, i) => {
      assert.ok(distance(medium[i], exact) > 1e-5);
    });
  });

  it("high stays within 4 times the error of f32 against f64", () => {
    for (const c of cases) assertHigh(c);
  });

  it("is the same from run to run", () => {
    for (const c of cases) {
      const [x, y] = [values(c.a, 1), values(c.b, 2)];
      const run = () => withMatrixPrecision("medium", () => results(c, x, y));
      assert.deepEqual(run(), run(), c.name);
    }
  });

  it("leaves f64 alone", () => {
    const a = tensor(
      Float64Array.from({ length: 150 * 150 }, (_, i) => Math.sin(i)),
      { shape: [150, 150] },
    );
    const product = () => a.matmul(a).dataSync();
    assert.deepEqual(withMatrixPrecision("medium", product), product());
  });

  it("is a part of what a jitted function was recorded with", { skip: !hasBf16 && "no bf16 products here" }, () => {
    const [c] = cases;
    const [a, b] = [tensor(values(c.a, 1), { shape: c.a }), tensor(values(c.b, 2), { shape: c.b })];
    const product = jit((x: Tensor, y: Tensor) => x.matmul(y));
    assert.match(
      withMatrixPrecision("medium", () => product.describe(a, b)),
      /gemm_f32_medium/,
    );
    assert.doesNotMatch(product.describe(a, b), /medium/);
  });

  it("belongs to a scope, also when it throws", () => {
    assert.equal(matrixPrecision(), "highest");
    withMatrixPrecision("medium", () => {
      assert.equal(matrixPrecision(), "medium");
      withMatrixPrecision("high", () => assert.equal(matrixPrecision(), "high"));
      assert.equal(matrixPrecision(), "medium");
    });
    assert.throws(() =>
      withMatrixPrecision("medium", () => {
        throw new Error("inside");
      }),
    );
    assert.equal(matrixPrecision(), "highest");
    assert.throws(() => setMatrixPrecision("mediun" as "medium"), /mediun.*medium/s);
  });
});

describe("AMX, its instructions emulated", { skip: !hasBf16 && "no bf16 products here" }, () => {
  const emulated: readonly Case[] = [
    ...cases,
    { name: "product in several slices", a: [70, 2100], b: [2100, 79], fn: (a, b) => a.matmul(b) },
    { name: "product, whole registers", a: [128, 256], b: [256, 96], fn: (a, b) => a.matmul(b) },
    { name: "3x3 in several slices", a: [2, 150, 7, 7], b: [45, 150, 3, 3], fn: conv(1, 1) },
  ];
  before(() => {
    setProcessor("native", ["MNB_EMULATE_AMX"]);
    setBackend("native");
  });
  after(() => {
    setProcessor("native");
    setBackend("auto");
  });
  for (const c of emulated) it(`multiplies operands rounded to bf16: ${c.name}`, () => assertRounds(c));

  it("multiplies by weights that were packed once", () => {
    for (const c of emulated)
      for (const precision of ["medium", "high"] as const) {
        const [a, b] = [tensor(values(c.a, 1), { shape: c.a }), tensor(values(c.b, 2), { shape: c.b })];
        const weights = variable(b);
        withMatrixPrecision(precision, () => {
          const packed = jit((x: Tensor) => c.fn(x, weights).neg());
          assert.deepEqual(packed(a).dataSync(), c.fn(a, b).neg().dataSync(), `${c.name}, ${precision}`);
        });
      }
  });

  for (const c of emulated)
    it(`high multiplies sums of bf16 with an error near that of f32: ${c.name}`, () => {
      assertHigh(c);
    });

  it("high does take the sums of bf16", () => {
    for (const c of emulated.filter(({ name }) => name === "product" || name === "3x3")) {
      const [x, y] = [values(c.a, 1), values(c.b, 2)];
      const [high, exact] = [withMatrixPrecision("high", () => results(c, x, y)), results(c, x, y)];
      // The result and the gradient of the first operand; that of the weights of a convolution stays f32.
      for (const i of [0, 1]) assert.notDeepEqual(high[i], exact[i], `${c.name}, result ${i}`);
    }
  });
});

/** What a unit of the run time becomes for a processor with AMX. */
function assembly(compiler: string, unit: string) {
  const source = fileURLToPath(new URL(`../../src/backends/native/runtime/${unit}`, import.meta.url));
  const options = ["-march=sapphirerapids", "-std=gnu11", "-O1", "-w", "-S", "-o", "-"];
  return spawnSync(compiler, [...options, source], { encoding: "utf8", maxBuffer: 2 ** 28 });
}

it("AMX is compiled to its own instructions for a processor that has it", (t) => {
  const compiler = findToolchain()?.command;
  if (!compiler || process.arch !== "x64" || process.platform !== "linux") return t.skip("not here");
  for (const name of ["real-amx.c", "real-amx-high.c"]) {
    const { status, stdout, stderr } = assembly(compiler, name);
    if (/unknown|bad value|invalid/.test(stderr)) return t.skip(`${compiler} does not know sapphirerapids`);
    assert.equal(status, 0, stderr);
    for (const instruction of ["ldtilecfg", "tileloadd", "tdpbf16ps", "tilestored"])
      assert.match(stdout, new RegExp(instruction), name);
  }
});

describe("processors without AVX-512", {
  skip: (native?.works !== true || process.arch !== "x64") && "not here",
}, () => {
  for (const processor of ["x86-64-v3", "x86-64-v2"])
    it(`computes the same on ${processor}`, () => {
      const inputs = cases.map((c) => ({ c, x: values(c.a, 1), y: values(c.b, 2) }));
      const here = inputs.map(({ c, x, y }) => results(c, x, y));
      try {
        setProcessor(processor);
        setBackend("native");
        inputs.forEach(({ c, x, y }, k) => {
          const there = withMatrixPrecision("medium", () => results(c, x, y));
          there.forEach((t, i) => {
            assert.ok(distance(t, here[k][i]) < 2e-6, `${c.name}, result ${i}: ${distance(t, here[k][i])}`);
          });
        });
        assert.equal(backendStatus()[0].multipliesBf16, false);
      } finally {
        setProcessor("native");
        setBackend("auto");
      }
    });

  it("refuses what is no name of a processor", () => {
    assert.throws(() => setProcessor("native -o /tmp/x"), /no name that -march/);
    assert.throws(() => setProcessor("nonsense-cpu"), /"nonsense-cpu" is not known to .*x86-64-v3/);
    assert.equal(backendStatus()[0].works, true, "what was there before still works");
  });
});
