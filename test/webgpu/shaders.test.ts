/** The WGSL of small kernels and operations, as text. Needs no device. After a wanted change: npm test -- --update shaders */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { limitBindings } from "../../src/backends/webgpu/bindings.ts";
import { isProduct } from "../../src/backends/webgpu/ops/index.ts";
import { readHalves } from "../../src/backends/webgpu/read-halves.ts";
import { splitReductions } from "../../src/backends/webgpu/split-reductions.ts";
import type { Workgroups } from "../../src/backends/webgpu/wgsl/shader.ts";
import { attachEpilogues, isInOrder } from "../../src/compiler/epilogue.ts";
import type { Instruction, KernelInstruction } from "../../src/compiler/instruction.ts";
import { printSchedule } from "../../src/compiler/print.ts";
import { relu, softmax } from "../../src/ops/activation.ts";
import { conv2d } from "../../src/ops/conv.ts";
import type { Tensor } from "../../src/ops/tensor.ts";
import { dispatches, halves, instructionsOf, plain, textOf, textsOf, zeros } from "../support/shaders.ts";
import { assertSnapshot } from "../support/snapshot.ts";

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
      const text = dispatches(instructionsOf(fn, ...a.map((shape) => zeros(...shape)))).map(textOf);
      assert.deepEqual(dispatches(instructionsOf(fn, ...b.map((shape) => zeros(...shape)))).map(textOf), text);
      assertSnapshot(`test/snapshots/kernels/${name}.wgsl`, text.join("\n"));
    });
});

test("WGSL of a softmax by subgroups of 8 to 32 threads", () => {
  const [shader] = dispatches(
    instructionsOf((x) => softmax(x, -1), zeros(40, 100)),
    { ...plain, subgroups: { least: 8, most: 32 } },
  );
  assertSnapshot("test/snapshots/kernels/softmax-subgroups.wgsl", textOf(shader));
});

test("WGSL of a product with bias and activation", () => {
  const instructions = instructionsOf((x, w, b) => x.matmul(w).add(b).tanh(), zeros(40, 30), zeros(30, 50), zeros(50));
  const attached = attachEpilogues(instructions, (op, { kernel }) =>
    isProduct(op) && isInOrder(kernel) ? kernel : null,
  );
  assert.equal(attached.length, 1);
  assertSnapshot("test/snapshots/kernels/product-epilogue.wgsl", dispatches(attached).map(textOf).join("\n"));
});

describe("WGSL of 16-bit floats", () => {
  const textOfAll = (...args: Parameters<typeof textsOf>) => textsOf(...args).join("\n");

  test("even rows are stored in pairs, odd ones atomically", () => {
    const scaled = (n: number) => textOfAll((x, y) => x.mul(y), halves([4, n], [n]));
    assertSnapshot("test/snapshots/kernels/half-pairs.wgsl", scaled(6));
    assertSnapshot("test/snapshots/kernels/half-atomics.wgsl", scaled(7));
  });

  test("softmax", () => {
    assertSnapshot(
      "test/snapshots/kernels/half-softmax.wgsl",
      textOfAll((x) => softmax(x, -1), halves([40, 100])),
    );
  });

  const unit = { component: "f16", m: 16, n: 16, k: 16 } as const;
  const withMatrices: Workgroups = { shared: 16384, subgroups: { least: 32, most: 32 }, matrices: [unit] };
  test("a product and a convolution by subgroup matrices", () => {
    const product = textOfAll((x, y) => x.matmul(y), halves([64, 100], [100, 70]), withMatrices);
    assertSnapshot("test/snapshots/kernels/half-product-matrices.wgsl", product);
    const convolution = textOfAll((x, w) => conv2d(x, w, null), halves([2, 24, 9, 9], [36, 24, 3, 3]), withMatrices);
    assertSnapshot("test/snapshots/kernels/half-convolution-matrices.wgsl", convolution);
  });

  test("operands that matrices would round, and subgroups that they do not fit, take tiles", () => {
    const matrices = /subgroup_matrix/;
    const [product, operands] = [(x: Tensor, y: Tensor) => x.matmul(y), halves([64, 64], [64, 64])] as const;
    assert.match(textOfAll(product, operands, withMatrices), matrices);
    assert.doesNotMatch(textOfAll(product, operands), matrices);
    const rounded = operands.map((x) => x.cast("bf16"));
    for (const others of [rounded, [operands[0], rounded[1]], [operands[0], zeros(64, 64)]])
      assert.doesNotMatch(textOfAll(product, others, withMatrices), matrices);
    for (const most of [4, 256])
      assert.doesNotMatch(textOfAll(product, operands, { ...withMatrices, subgroups: { least: 4, most } }), matrices);
  });
});

describe("programs for a device", () => {
  test("a long sum is taken in two", () => {
    const text = printSchedule(splitReductions(instructionsOf((x) => x.square().sum().sqrt(), zeros(64, 1024))));
    assertSnapshot("test/snapshots/long-sum.txt", text);
  });

  test("products read 16 bits: where they lie, or instead of an f32 temporary", () => {
    const mlp = (x: Tensor, w: Tensor, v: Tensor) => relu(x.matmul(w).add(1)).matmul(v);
    const text = printSchedule(readHalves(instructionsOf(mlp, ...halves([4, 6], [6, 8], [8, 3]))));
    assertSnapshot("test/snapshots/half-products.txt", text);
  });

  test("what is written before the last product reads it is copied, in 16 bits", () => {
    const instructions = instructionsOf((x, y) => x.matmul(y), ...halves([4, 4], [4, 4]));
    const product = instructions.findIndex(({ kind }) => kind === "op");
    const [first, second] = instructions.slice(0, product).map((i) => (i as KernelInstruction).buffers[1]);
    const overwrites: Instruction = { kind: "copy", from: second, to: first };
    const text = printSchedule(
      readHalves([...instructions.slice(0, product), overwrites, ...instructions.slice(product)]),
    );
    assertSnapshot("test/snapshots/half-overwritten.txt", text);
  });

  test("a kernel that touches more buffers than can be bound reads copies, and what it writes is copied back", () => {
    const vectors = Array.from({ length: 5 }, () => zeros(9));
    const instructions = instructionsOf((...xs) => xs.reduce((a, b) => a.mul(b)), ...vectors);
    assert.equal(instructions.length, 1);
    assertSnapshot("test/snapshots/few-bindings.txt", printSchedule(limitBindings(instructions, 4)));
    assert.deepEqual(limitBindings(instructions, 6), instructions);
  });
});
