/**
 * What the compiler makes of a few well-known steps, as text: the graph, the program, the size of its arena; and the C
 * of small kernels. Needs no C compiler. After a wanted change: npm test -- --update snapshots
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { renderKernel } from "../../src/backends/native/render.ts";
import { writeTape } from "../../src/backends/native/tape.ts";
import type { KernelInstruction } from "../../src/compiler/instruction.ts";
import { planMemory } from "../../src/compiler/plan.ts";
import { printSchedule } from "../../src/compiler/print.ts";
import { schedule } from "../../src/compiler/schedule.ts";
import { simplify } from "../../src/compiler/simplify.ts";
import type { Graph } from "../../src/graph/node.ts";
import { printGraph } from "../../src/graph/print.ts";
import { BatchNorm2d, Conv2d, initialize, LSTM, Module } from "../../src/nn/index.ts";
import { relu, softmax } from "../../src/ops/activation.ts";
import { valueAndGrad } from "../../src/ops/grad.ts";
import { traceGraph } from "../../src/ops/jit.ts";
import { crossEntropy } from "../../src/ops/loss/index.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";
import { variable } from "../../src/ops/variable.ts";
import { adamW, optimizer, sgd } from "../../src/optim/index.ts";
import { assertSnapshot } from "../support/snapshot.ts";

const zeros = (...shape: number[]): Tensor => tensor(0).broadcastTo(shape);
const labels = (...values: number[]): Tensor => tensor(values, { dtype: "i32" });

function programText(graph: Graph): string {
  const simple = simplify(graph);
  const { instructions } = schedule(simple);
  return [
    printGraph(simple),
    "",
    printSchedule(instructions),
    "",
    `arena: ${planMemory(instructions).bytes} bytes`,
  ].join("\n");
}

describe("programs", () => {
  const snapshot = (name: string, graph: () => Graph) =>
    test(name, () => assertSnapshot(`test/snapshots/${name}.txt`, programText(graph())));

  snapshot("cross-entropy", () =>
    traceGraph(
      (x: Tensor, y: Tensor) => valueAndGrad(x, (x) => crossEntropy(x, y)),
      zeros(32, 10),
      labels(...new Array<number>(32).fill(0)),
    ),
  );

  snapshot("conv-bn-relu-step", () => {
    class Block extends Module {
      conv = new Conv2d(3, 8, 3, { padding: 1, bias: false });
      bn = new BatchNorm2d(8);
      forward(x: Tensor): Tensor {
        return relu(this.bn.forward(this.conv.forward(x)));
      }
    }
    const model = initialize(new Block(), 1);
    const opt = optimizer(model, sgd({ lr: 0.1, momentum: 0.9 }));
    return traceGraph(
      (x: Tensor) => {
        const [loss, grads] = valueAndGrad(model, (m) => m.forward(x).square().mean());
        opt.update(grads);
        return loss;
      },
      zeros(4, 3, 16, 16),
    );
  });

  snapshot("adamw-update", () => {
    const w = variable(tensor(new Float32Array(100)));
    const opt = optimizer([["w", w]], adamW({ lr: 1e-3, weightDecay: 0.01 }));
    return traceGraph((g: Tensor) => opt.update(new Map([["w", g]])), zeros(100));
  });

  snapshot("lstm-step", () => {
    const lstm = initialize(new LSTM(3, 4), 1);
    return traceGraph((x: Tensor) => valueAndGrad(lstm, (m) => m.forward(x)[0].square().mean()), zeros(5, 2, 3));
  });
});

describe("C of kernels", () => {
  const kernels = (fn: (x: Tensor) => Tensor | readonly Tensor[], ...shape: number[]): string[] =>
    schedule(simplify(traceGraph(fn, zeros(...shape))))
      .instructions.filter((i): i is KernelInstruction => i.kind === "kernel")
      .map((i) => renderKernel(i.kernel).body);

  const forms: Record<string, readonly [fn: (x: Tensor) => Tensor | readonly Tensor[], a: number[], b: number[]]> = {
    elementwise: [(x) => x.mul(2).add(1).tanh(), [5, 7], [300]],
    softmax: [(x) => softmax(x, -1), [4, 100], [9, 64]],
    "column-sums": [(x) => x.square().sum(0), [100, 700], [91, 230]],
    transpose: [(x) => x.transpose().neg(), [30, 40], [70, 50]],
    "pad-and-max": [(x) => x.pad([[1, 1]]).max(0), [30], [77]],
    "half-elementwise": [(x) => relu(x.cast("bf16").mul(3).exp()).transpose(), [5, 7], [4, 3]],
    "half-sum": [(x) => x.cast("f16").square().sum(1), [9, 64], [5, 70]],
    moments: [(x) => [x.sum([0, 2]), x.square().sum([0, 2])], [9, 30, 50], [8, 50, 90]],
  };

  for (const [name, [fn, a, b]] of Object.entries(forms))
    test(`${name}: sizes are no part of the text`, () => {
      const text = kernels(fn, ...a);
      assert.deepEqual(kernels(fn, ...b), text);
      assertSnapshot(`test/snapshots/kernels/${name}.c`, text.join("\n\n"));
    });
});

test("the tape of a step", () => {
  const graph = traceGraph((x: Tensor) => x.matmul(x.transpose()).add(1).sum(0), zeros(6, 4));
  const { instructions } = schedule(simplify(graph));
  let kernel = 0;
  const { words, slots } = writeTape(instructions, planMemory(instructions), {
    kernel: (i) => ({ rendered: renderKernel((i as KernelInstruction).kernel), address: 1000 + kernel++ }),
    op: () => 2000,
  });
  const where = slots.map((s) => `${s.kind}${"index" in s ? s.index : ""}+${s.offset}`);
  assertSnapshot("test/snapshots/tape.txt", `words: ${[...words].join(" ")}\nslots: ${where.join(" ")}`);
});
