/** The WGSL of small kernels and operations, as text. Needs no device. After a wanted change: npm test -- --update shaders */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { limitBindings } from "../../src/backends/webgpu/bindings.ts";
import { isInOrder } from "../../src/backends/webgpu/ops/finish.ts";
import { expandOperations, isProduct, operationDispatch } from "../../src/backends/webgpu/ops/index.ts";
import { readHalves } from "../../src/backends/webgpu/read-halves.ts";
import { splitReductions } from "../../src/backends/webgpu/split-reductions.ts";
import { kernelDispatch } from "../../src/backends/webgpu/wgsl/kernel.ts";
import { type Dispatch, shaderText, type Workgroups } from "../../src/backends/webgpu/wgsl/shader.ts";
import { attachEpilogues } from "../../src/compiler/epilogue.ts";
import type { Instruction } from "../../src/compiler/instruction.ts";
import { printSchedule } from "../../src/compiler/print.ts";
import { schedule } from "../../src/compiler/schedule.ts";
import { simplify } from "../../src/compiler/simplify.ts";
import { softmax } from "../../src/ops/activation.ts";
import { conv2d } from "../../src/ops/conv.ts";
import { traceGraph } from "../../src/ops/jit.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";
import { assertSnapshot } from "../support/snapshot.ts";

const zeros = (...shape: number[]): Tensor => tensor(0).broadcastTo(shape);
/** What every device has. */
const plain: Workgroups = { shared: 16384, subgroups: null, matrices: [] };

/** As if every operand were a buffer of the device by itself. */
const textOf = ({ code, operands, params }: Dispatch): string =>
  shaderText(
    code,
    {
      operands: operands.map(({ buffer, written, inPairs }, i) => ({
        dtype: buffer.dtype,
        written,
        inPairs,
        binding: i,
      })),
      bindings: operands.map(({ written }) => written),
    },
    params.length,
  );

const instructionsOf = (fn: (...x: Tensor[]) => Tensor | readonly Tensor[], ...shapes: number[][]): Instruction[] => [
  ...schedule(simplify(traceGraph(fn, ...shapes.map((s) => zeros(...s))))).instructions,
];

const dispatches = (instructions: readonly Instruction[], workgroups = plain): Dispatch[] =>
  splitReductions(expandOperations(readHalves(instructions), workgroups)).flatMap((i) => {
    const made = i.kind === "kernel" ? kernelDispatch(i, workgroups, "a kernel") : null;
    return i.kind === "op" ? [operationDispatch(i, workgroups)] : made ? [made] : [];
  });

describe("WGSL", () => {
  type Form = readonly [fn: (...x: Tensor[]) => Tensor | readonly Tensor[], a: number[][], b: number[][]];
  const forms: Record<string, Form> = {
    elementwise: [(x) => x.mul(2).add(1).tanh(), [[5, 7]], [[300]]],
    softmax: [(x) => softmax(x, -1), [[40, 100]], [[52, 100]]], // what lives for one row has its length in the text
    "column-sums": [(x) => x.square().sum(0), [[100, 700]], [[91, 230]]],
    "pad-and-max": [(x) => x.pad([[1, 1]]).max(0), [[300]], [[477]]],
    product: [
      (x, y) => x.matmul(y),
      [
        [40, 30],
        [30, 50],
      ],
      [
        [60, 90],
        [90, 35],
      ],
    ],
  };
  for (const [name, [fn, a, b]] of Object.entries(forms))
    test(`${name}: sizes are no part of the text`, () => {
      const text = dispatches(instructionsOf(fn, ...a)).map(textOf);
      assert.deepEqual(dispatches(instructionsOf(fn, ...b)).map(textOf), text);
      assertSnapshot(`test/snapshots/kernels/${name}.wgsl`, text.join("\n"));
    });
});

test("WGSL of a softmax by subgroups of 8 to 32 threads", () => {
  const [shader] = dispatches(
    instructionsOf((x) => softmax(x, -1), [40, 100]),
    { ...plain, subgroups: { least: 8, most: 32 } },
  );
  assertSnapshot("test/snapshots/kernels/softmax-subgroups.wgsl", textOf(shader));
});

test("WGSL of a product with bias and activation", () => {
  const instructions = instructionsOf((x, w, b) => x.matmul(w).add(b).tanh(), [40, 30], [30, 50], [50]);
  const attached = attachEpilogues(instructions, (op, { kernel }) => isProduct(op) && isInOrder(kernel));
  assert.equal(attached.length, 1);
  assertSnapshot("test/snapshots/kernels/product-epilogue.wgsl", dispatches(attached).map(textOf).join("\n"));
});

describe("WGSL of 16-bit floats", () => {
  const halves = (...shapes: number[][]) => shapes.map((shape) => tensor(0).cast("f16").broadcastTo(shape));
  const textsOf = (fn: (...x: Tensor[]) => Tensor, inputs: readonly Tensor[], workgroups = plain) =>
    dispatches(schedule(simplify(traceGraph(fn, ...inputs))).instructions, workgroups)
      .map(textOf)
      .join("\n");

  test("even rows are stored in pairs, odd ones atomically", () => {
    const scaled = (n: number) => textsOf((x, y) => x.mul(y), halves([4, n], [n]));
    assertSnapshot("test/snapshots/kernels/half-pairs.wgsl", scaled(6));
    assertSnapshot("test/snapshots/kernels/half-atomics.wgsl", scaled(7));
  });

  test("softmax", () => {
    assertSnapshot(
      "test/snapshots/kernels/half-softmax.wgsl",
      textsOf((x) => softmax(x, -1), halves([40, 100])),
    );
  });

  const unit = { component: "f16", m: 16, n: 16, k: 16 } as const;
  const withMatrices: Workgroups = { shared: 16384, subgroups: { least: 32, most: 32 }, matrices: [unit] };
  test("a product and a convolution by subgroup matrices", () => {
    const product = textsOf((x, y) => x.matmul(y), halves([64, 100], [100, 70]), withMatrices);
    assertSnapshot("test/snapshots/kernels/half-product-matrices.wgsl", product);
    const convolution = textsOf((x, w) => conv2d(x, w, null), halves([2, 24, 9, 9], [36, 24, 3, 3]), withMatrices);
    assertSnapshot("test/snapshots/kernels/half-convolution-matrices.wgsl", convolution);
  });

  test("operands that matrices would round, and subgroups that they do not fit, take tiles", () => {
    const matrices = /subgroup_matrix/;
    const [product, operands] = [(x: Tensor, y: Tensor) => x.matmul(y), halves([64, 64], [64, 64])] as const;
    assert.match(textsOf(product, operands, withMatrices), matrices);
    assert.doesNotMatch(textsOf(product, operands), matrices);
    const rounded = operands.map((x) => x.cast("bf16"));
    for (const others of [rounded, [operands[0], rounded[1]], [operands[0], zeros(64, 64)]])
      assert.doesNotMatch(textsOf(product, others, withMatrices), matrices);
    for (const most of [4, 256])
      assert.doesNotMatch(textsOf(product, operands, { ...withMatrices, subgroups: { least: 4, most } }), matrices);
  });
});

describe("programs for a device", () => {
  test("a long sum is taken in two", () => {
    const text = printSchedule(splitReductions(instructionsOf((x) => x.square().sum().sqrt(), [64, 1024])));
    assertSnapshot("test/snapshots/long-sum.txt", text);
  });

  test("a kernel that touches more buffers than can be bound reads copies, and what it writes is copied back", () => {
    const shapes = Array.from({ length: 5 }, () => [9]);
    const instructions = instructionsOf((...xs) => xs.reduce((a, b) => a.mul(b)), ...shapes);
    assert.equal(instructions.length, 1);
    assertSnapshot("test/snapshots/few-bindings.txt", printSchedule(limitBindings(instructions, 4)));
    assert.deepEqual(limitBindings(instructions, 6), instructions);
  });
});
