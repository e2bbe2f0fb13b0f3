/** The memory plan: what is alive at the same time does not overlap, and results replace inputs only where that is safe. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import type { Buffer, Instruction } from "../../src/compiler/instruction.ts";
import { canReplace } from "../../src/compiler/kernel.ts";
import { type MemoryPlan, planMemory } from "../../src/compiler/plan.ts";
import { schedule } from "../../src/compiler/schedule.ts";
import { simplify } from "../../src/compiler/simplify.ts";
import { reads, root, writes } from "../../src/compiler/updates.ts";
import { byteSize } from "../../src/core/dtype.ts";
import type { Graph } from "../../src/graph/node.ts";
import { BatchNorm2d, Conv2d, initialize, Linear, LSTM, Module } from "../../src/nn/index.ts";
import { checkpoint, valueAndGrad } from "../../src/ops/grad.ts";
import { traceGraph } from "../../src/ops/jit.ts";
import { crossEntropy } from "../../src/ops/loss/index.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";
import { adamW, optimizer } from "../../src/optim/index.ts";
import { GraphSampler } from "../support/random-graph.ts";

/** Who wrote each 64-byte line of the arena last. */
class Arena {
  private readonly owners: (Buffer | undefined)[] = [];
  private readonly plan: MemoryPlan;

  constructor(plan: MemoryPlan) {
    this.plan = plan;
  }

  private range(b: Buffer): [first: number, end: number] {
    const offset = this.plan.offsets.get(b);
    assert.ok(offset !== undefined, "a temporary has no place");
    assert.equal(offset % 64, 0);
    const bytes = b.size * byteSize(b.dtype);
    assert.ok(offset + bytes <= this.plan.bytes, "a temporary lies outside of the arena");
    return [offset / 64, Math.ceil((offset + bytes) / 64)];
  }
  read(b: Buffer): void {
    const [first, end] = this.range(b);
    for (let i = first; i < end; i++) assert.ok(this.owners[i] === b, "a temporary is read after it was overwritten");
  }
  write(b: Buffer): void {
    const [first, end] = this.range(b);
    this.owners.length = Math.max(this.owners.length, end);
    this.owners.fill(b, first, end);
  }
  overlap(a: Buffer, b: Buffer): boolean {
    const [x, y] = [this.range(a), this.range(b)];
    return a !== b && x[0] < y[1] && y[0] < x[1];
  }
  sameStart = (a: Buffer, b: Buffer): boolean => this.range(a)[0] === this.range(b)[0];
}

const isTemp = (b: Buffer) => b.place.kind === "temp" && b.size > 0;

/** Follows a program, loops twice, and checks that every read finds what was written for it. */
function follow(instructions: readonly Instruction[], arena: Arena): void {
  for (const instruction of instructions) {
    if (instruction.kind === "loop") {
      for (let turn = 0; turn < Math.min(2, instruction.count); turn++) follow(instruction.body, arena);
      continue;
    }
    const [read, written] = [reads(instruction).filter(isTemp), writes(instruction).filter(isTemp)];
    for (const b of read) arena.read(b);
    for (const w of written)
      for (const r of read) {
        if (!arena.overlap(w, r)) continue;
        assert.ok(instruction.kind === "kernel", `${instruction.kind} writes over what it reads`);
        assert.ok(
          arena.sameStart(w, r) && w.size === r.size && w.dtype === r.dtype,
          "a result covers an input in part",
        );
        const { kernel } = instruction;
        const number = (of: Buffer, written: boolean) =>
          instruction.buffers.findIndex((b, i) => root(b) === of && kernel.buffers[i].written === written);
        assert.ok(
          canReplace(kernel, number(r, false), number(w, true)),
          "a result replaces an input that is read elsewhere too",
        );
      }
    for (const w of written) {
      for (const other of written) assert.ok(!arena.overlap(w, other), "two results of one kernel overlap");
      arena.write(w);
    }
  }
}

function plan(graph: Graph): { instructions: readonly Instruction[]; plan: MemoryPlan } {
  const { instructions } = schedule(simplify(graph));
  return { instructions, plan: planMemory(instructions) };
}

function assertSound(graph: Graph): MemoryPlan {
  const { instructions, plan: memory } = plan(graph);
  follow(instructions, new Arena(memory));
  return memory;
}

describe("temporaries do not overlap while they are alive", () => {
  test("in random programs", () => {
    for (let seed = 0; seed < 150; seed++) {
      const outputs = new GraphSampler(seed, "f32").sample(12);
      try {
        assertSound({ inputs: [], outputs, updates: [] });
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`);
      }
    }
  });

  test("in many random programs at once", () => {
    for (let seed = 0; seed < 4; seed++) {
      const outputs = Array.from({ length: 12 }, (_, i) => new GraphSampler(500 + seed * 12 + i, "f32").sample(10));
      assertSound({ inputs: [], outputs: outputs.flat(), updates: [] });
    }
  });

  test("in a training step of a small convolutional net", () => {
    const net = initialize(new Net(), 1);
    const step = trainingStep(net, (m, x, target) => crossEntropy(m.forward(x), target));
    const memory = assertSound(
      traceGraph(step, zeros(8, 3, 16, 16), tensor([0, 1, 2, 3, 4, 5, 6, 7], { dtype: "i32" })),
    );
    assert.ok(memory.bytes > 0);
  });

  test("in a training step of an LSTM", () => {
    const lstm = initialize(new LSTM(3, 4, { numLayers: 2, bidirectional: true }), 1);
    const step = trainingStep(lstm, (m, x) => m.forward(x)[0].square().mean());
    assertSound(traceGraph(step, zeros(5, 2, 3), zeros(1)));
  });
});

test("a chain of elementwise work on one buffer needs one buffer", () => {
  const deep = (x: Tensor) => {
    let y = x;
    for (let i = 0; i < 10; i++) y = y.sub(y.sum(1, { keepDims: true })).exp();
    return y;
  };
  const rows = 64 * 4;
  assert.ok(assertSound(traceGraph(deep, zeros(64, 256))).bytes <= 64 * 256 * 4 + 2 * rows);
});

describe("checkpoint", () => {
  const block = (weights: readonly Tensor[]) => (x: Tensor) => weights.reduce((y, w) => y.matmul(w).tanh(), x);
  const loss = (remember: boolean) => (x: Tensor, weights: readonly Tensor[]) =>
    valueAndGrad([x, weights] as const, ([x, weights]) => {
      let y: Tensor = x;
      for (let i = 0; i < weights.length; i += 4) {
        const part = block(weights.slice(i, i + 4));
        y = remember ? part(y) : checkpoint(part)(y);
      }
      return y.square().mean();
    });

  test("needs less memory", () => {
    const weights = Array.from({ length: 32 }, () => zeros(16, 16));
    const [kept, again] = [true, false].map(
      (remember) => assertSound(traceGraph(loss(remember), zeros(512, 16), weights)).bytes,
    );
    assert.ok(again < 0.5 * kept, `${again} bytes against ${kept}`);
  });

  test("gives the same gradients", () => {
    setBackend("reference");
    const values = Float32Array.from({ length: 8 * 4 + 8 * 16 }, (_, i) => Math.sin(i));
    const x = tensor(values.slice(0, 32), { shape: [8, 4] });
    const weights = Array.from({ length: 8 }, (_, i) =>
      tensor(values.slice(32 + 16 * i, 48 + 16 * i), { shape: [4, 4] }),
    );
    const [kept, again] = [true, false].map((remember) => {
      const [value, [dx, dw]] = loss(remember)(x, weights);
      return [value, dx, ...dw].map((t) => Array.from(t.dataSync()));
    });
    setBackend("auto");
    assert.deepEqual(again, kept);
  });
});

const zeros = (...shape: number[]): Tensor => tensor(0).broadcastTo(shape);

class Net extends Module {
  conv1 = new Conv2d(3, 8, 3, { padding: 1 });
  bn1 = new BatchNorm2d(8);
  conv2 = new Conv2d(8, 8, 3, { stride: 2, padding: 1 });
  bn2 = new BatchNorm2d(8);
  fc = new Linear(8, 10);

  forward(x: Tensor): Tensor {
    const y = this.bn1.forward(this.conv1.forward(x)).maximum(0);
    const z = this.bn2.forward(this.conv2.forward(y)).maximum(0);
    return this.fc.forward(z.mean([2, 3]));
  }
}

function trainingStep<M extends Module>(
  model: M,
  lossOf: (model: M, x: Tensor, target: Tensor) => Tensor,
): (x: Tensor, target: Tensor) => Tensor {
  const opt = optimizer(model, adamW({ lr: 1e-3 }));
  return (x, target) => {
    const [loss, grads] = valueAndGrad(model, (m) => lossOf(m, x, target));
    opt.update(grads);
    return loss;
  };
}
