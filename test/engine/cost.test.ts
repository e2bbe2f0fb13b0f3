/** Operations and bytes of instructions, against values worked out by hand. Needs no C compiler. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Cost, costOf, factsOf } from "../../src/compiler/cost.ts";
import type { Buffer, Instruction, OpInstruction } from "../../src/compiler/instruction.ts";
import { schedule } from "../../src/compiler/schedule.ts";
import { simplify } from "../../src/compiler/simplify.ts";
import type { DType } from "../../src/core/dtype.ts";
import { relu, softmax } from "../../src/ops/activation.ts";
import { conv2d } from "../../src/ops/conv.ts";
import { embedding } from "../../src/ops/indexing.ts";
import { traceGraph } from "../../src/ops/jit.ts";
import { maxPool2d } from "../../src/ops/pool.ts";
import { scan } from "../../src/ops/scan.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";

const zeros = (...shape: number[]): Tensor => tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });

const instructionsOf = (fn: (...x: Tensor[]) => Tensor, ...inputs: Tensor[]): readonly Instruction[] =>
  schedule(simplify(traceGraph(fn, ...inputs))).instructions;

/** The cost of a function that becomes one instruction. */
function only(fn: (...x: Tensor[]) => Tensor, ...inputs: Tensor[]): Cost {
  const instructions = instructionsOf(fn, ...inputs);
  assert.equal(instructions.length, 1);
  return costOf(instructions[0]);
}

const cost = (flops: number | null, bytesRead: number, bytesWritten: number): Cost => ({
  flops,
  bytesRead,
  bytesWritten,
});

describe("contractions", () => {
  test("matrix product: two operations per term", () => {
    const got = only((x, y) => x.matmul(y), zeros(32, 64), zeros(64, 128));
    assert.deepEqual(got, cost(2 * 32 * 64 * 128, 4 * (32 * 64 + 64 * 128), 4 * 32 * 128));
  });
  test("a transposed factor is read as it lies", () => {
    const got = only((x, y) => x.matmul(y.transpose()), zeros(32, 64), zeros(128, 64));
    assert.deepEqual(got, cost(2 * 32 * 64 * 128, 4 * (32 * 64 + 64 * 128), 4 * 32 * 128));
  });
  test("a factor that every product of a batch shares is read once", () => {
    const got = only((x, y) => x.matmul(y), zeros(5, 3, 4), zeros(5, 4, 6));
    assert.deepEqual(got, cost(5 * 2 * 3 * 4 * 6, 4 * 5 * (12 + 24), 4 * 5 * 18));
    const shared = only((x, y) => x.matmul(y.broadcastTo([5, 4, 6])), zeros(5, 3, 4), zeros(4, 6));
    assert.equal(shared.bytesRead, 4 * (5 * 12 + 24));
  });
  test("convolution: taps on the padding count, and every element is read once", () => {
    const got = only((x, w) => conv2d(x, w, null, { padding: 1 }), zeros(2, 3, 8, 8), zeros(16, 3, 3, 3));
    assert.deepEqual(got, cost(2 * 2 * 16 * 64 * 27, 4 * (2 * 3 * 64 + 16 * 27), 4 * 2 * 16 * 64));
  });
  test("a kernel of one tap with stride 2 reads a quarter of the image", () => {
    const got = only((x, w) => conv2d(x, w, null, { stride: 2 }), zeros(1, 4, 8, 8), zeros(8, 4, 1, 1));
    assert.deepEqual(got, cost(2 * 8 * 16 * 4, 4 * (4 * 16 + 32), 4 * 8 * 16));
  });
  test("groups: each channel by itself", () => {
    const got = only((x, w) => conv2d(x, w, null, { padding: 2, groups: 4 }), zeros(2, 4, 6, 6), zeros(4, 1, 5, 5));
    assert.deepEqual(got, cost(2 * 2 * 4 * 36 * 25, 4 * (2 * 4 * 36 + 100), 4 * 2 * 4 * 36));
  });
});

describe("kernels", () => {
  test("elementwise: what is shared is read once, comparisons and choices are no arithmetic", () => {
    const got = only((x, y, b) => relu(x.mul(y).add(b)), zeros(32, 10), zeros(32, 10), zeros(10));
    assert.deepEqual(got, cost(2 * 320, 4 * (320 + 320 + 10), 4 * 320));
  });
  test("what a loop leaves unchanged counts once", () => {
    const got = only((x, s) => x.mul(s.add(1)), zeros(100), zeros(1));
    assert.deepEqual(got, cost(100 + 1, 4 * 101, 400));
  });
  test("reduction: one operation per term, then what follows per result", () => {
    const got = only((x) => x.mul(x).mean(1), zeros(8, 50));
    assert.deepEqual(got, cost(8 * 50 * 2 + 8, 4 * 400, 32));
  });
  test("integers are no floating-point operations", () => {
    const x = tensor(new Int32Array(6));
    assert.deepEqual(
      only((x) => x.add(x.mul(3)), x),
      cost(0, 24, 24),
    );
  });
  test("a table is read where it is looked up", () => {
    const got = only((i, table) => embedding(i, table), tensor(new Int32Array(7)), zeros(1000, 16));
    assert.deepEqual(got, cost(0, 4 * (7 + 7 * 16), 4 * 7 * 16));
  });
  test("overlapping windows read every element once", () => {
    const got = only((x) => maxPool2d(x, 3, { stride: 2 }), zeros(1, 1, 9, 9));
    assert.deepEqual(got, cost(16 * 9, 4 * 81, 4 * 16));
  });
  test("several kernels of one function", () => {
    const facts = factsOf(instructionsOf((x) => softmax(x, -1), zeros(4, 8)));
    const total = facts.reduce((sum, { flops }) => sum + (flops ?? 0), 0);
    // Maximum and sum of 8 terms a row, then subtraction, exponential and division for each of 32.
    assert.ok(total >= 4 * 8 * 5, String(total));
    assert.ok(facts.every(({ kind, depth, calls }) => kind === "kernel" && depth === 0 && calls === 1));
  });
});

describe("loops and built-in operations", () => {
  const buffer = (size: number, dtype: DType = "f32"): Buffer => ({ size, dtype, place: { kind: "temp" } });
  const op = (name: string, buffers: Buffer[], params: number[]): OpInstruction => ({
    ...{ kind: "op", name, buffers, params },
    offsets: buffers.map(() => 0),
  });
  test("a loop costs its body as often as it turns, and stands before it", () => {
    const instructions = instructionsOf(
      (xs, w) => scan(([h], x) => [[h.matmul(w).add(x)], h], [zeros(2, 4)], xs)[0][0],
      zeros(10, 2, 4),
      zeros(4, 4),
    );
    const facts = factsOf(instructions);
    const at = facts.findIndex(({ kind }) => kind === "loop");
    const body = facts.filter(({ depth }) => depth === 1);
    assert.ok(body.length > 0 && facts[at + 1].depth === 1 && body.every(({ calls }) => calls === 10));
    const gemm = body.find(({ name }) => name === "gemm_f32");
    assert.deepEqual([gemm?.flops, gemm?.shape], [2 * 2 * 4 * 4, "2x4 * 4x4"]);
    assert.equal(facts[at].flops, 10 * body.reduce((sum, { flops }) => sum + (flops ?? 0), 0));
  });
  test("scatter-add adds every update; indices that repeat are read once", () => {
    const buffers = [buffer(20, "i32"), buffer(20 * 8), buffer(30 * 8)];
    assert.deepEqual(
      costOf(op("scatter_add_f32", buffers, [1, 20, 30, 8, 20, 1, 0])),
      cost(160, 4 * (20 + 160), 4 * 240),
    );
  });
  test("sums along an axis, sorts, copies", () => {
    assert.deepEqual(costOf(op("cumsum_f32", [buffer(60), buffer(60)], [3, 20, 1, 0, 0])), cost(60, 240, 240));
    assert.deepEqual(costOf(op("argsort_f32", [buffer(60), buffer(60, "i32")], [3, 20, 1, 20, 0])), cost(0, 240, 240));
    assert.deepEqual(costOf({ kind: "copy", from: buffer(9, "f64"), to: buffer(9, "f64") }), cost(0, 72, 72));
  });
  test("an operation that is not known has no number of operations, and no loop around it has", () => {
    const unknown = op("frobnicate_f32", [buffer(4), buffer(4)], []);
    assert.deepEqual(costOf(unknown), cost(null, 16, 16));
    assert.equal(costOf({ kind: "loop", count: 2, body: [unknown] }).flops, null);
  });
  test("equal work on other buffers has equal text", () => {
    const [one, two] = [0, 1].map(() => op("gemm_f32", [buffer(6), buffer(6), buffer(4)], [2, 2, 3, 3, 1, 2, 1, 0]));
    const [a, b] = factsOf([one, two]);
    assert.equal(a.text, b.text);
    assert.equal(a.shape, "2x3 * 3x2");
  });
});
