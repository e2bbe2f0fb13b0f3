/** The wasm backend's memory and threads: what a host may offer or take away, and what must not depend on it. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { wasmBackend } from "../../src/backends/wasm/index.ts";
import { findThreadHost, type ThreadHost } from "../../src/backends/wasm/threads.ts";
import { control } from "../../src/backends/wasm/worker.ts";
import type { TypedArray } from "../../src/core/dtype.ts";
import { ManabiError } from "../../src/core/errors.ts";
import type { Graph, Node } from "../../src/graph/node.ts";
import { sum } from "../../src/primitives/broadcast.ts";
import { conv, convWeightGrad, dot } from "../../src/primitives/contract.ts";
import * as e from "../../src/primitives/elementwise.ts";
import { input } from "../../src/primitives/leaf.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";
import { GraphSampler } from "../support/random-graph.ts";

const graph = (inputs: Node[], outputs: Node[], updates: Graph["updates"] = []): Graph => ({
  inputs,
  outputs,
  updates,
});
const ramp = (size: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: size }, (_, i) => (i % 251) / 7 - 11);
const host = findThreadHost() as ThreadHost;

/** Results of programs that are large enough for several threads. */
function results(backend: ReturnType<typeof wasmBackend>): TypedArray[] {
  const x = leaf("f32", [517, 389], uniform(517 * 389, 1));
  const y = leaf("f32", [389, 211], uniform(389 * 211, 2));
  const images = leaf("f32", [8, 16, 20, 20], uniform(8 * 16 * 400, 3));
  const kernels = leaf("f32", [24, 16, 3, 3], uniform(24 * 16 * 9, 4));
  const one = [1, 1] as const;
  const attrs = { stride: one, padding: [one, one], dilation: one, groups: 1 };
  const outputs = [
    e.exp(e.add(x, e.sin(x))),
    sum(x, [1]),
    sum(x, [0]),
    sum(e.mul(x, x), [0, 1]),
    ...new GraphSampler(7, "f32").sample(12),
    ...[dot(x, y), convWeightGrad(images, conv(images, kernels, attrs), { ...attrs, kernel: [3, 3] })],
  ];
  return backend.compile(graph([], outputs)).run([]);
}

describe("threads", () => {
  const backend = wasmBackend({ threadHost: { ...host, processors: 8 } });
  after(() => backend.close());

  test("results do not depend on their number, to the bit", () => {
    backend.setThreads(1);
    const want = results(backend);
    for (const threads of [2, 3, 5, 8]) {
      assert.equal(backend.setThreads(threads), threads);
      for (let turn = 0; turn < 3; turn++) assert.deepEqual(results(backend), want, `${threads} threads, turn ${turn}`);
    }
  });

  test("workers take part", async () => {
    backend.setThreads(2);
    const x = input({ shape: [1 << 20], dtype: "f32" });
    const program = backend.compile(graph([x], [e.exp(x)]));
    const values = ramp(1 << 20);
    program.run([values]);
    for (let i = 0; i < 100 && backend.readyWorkers === 0; i++) await new Promise((done) => setTimeout(done, 50));
    assert.ok(backend.readyWorkers > 0, "no worker has become ready in 5 s");
  });

  test("a worker that ends while it is idle is missed by nobody", async () => {
    const started: { stop(): void }[] = [];
    const own = wasmBackend({
      threadHost: {
        processors: 3,
        start(given) {
          const thread = host.start(given);
          started.push(thread);
          return thread;
        },
      },
    });
    const want = results(own);
    assert.equal(started.length, 2);
    for (const thread of started) thread.stop();
    await new Promise((done) => setTimeout(done, 100));
    assert.deepEqual(results(own), want);
    own.close();
  });

  test("a worker that ends inside of a job is an error after a while; one thread goes on", () => {
    const own = wasmBackend({
      patience: 50,
      threadHost: {
        processors: 2,
        start({ memory }) {
          // What is left of a worker that was ended after it had entered.
          Atomics.add(new Int32Array(memory.buffer, 0, 1024), control.inside, 1);
          return { stop: () => {} };
        },
      },
    });
    assert.throws(() => results(own), /worker thread has not finished.*one thread/);
    assert.equal(own.threads, 1);
    assert.deepEqual(results(own), results(wasmBackend({ threadHost: null })));
  });

  test("without a host there is one", () => {
    const own = wasmBackend({ threadHost: null });
    assert.equal(own.setThreads(4), 1);
  });
});

for (const shared of [true, false])
  describe(shared ? "shared memory" : "memory that is not shared", () => {
    const backend = wasmBackend({ shared, threadHost: null });

    test("random graphs", () => {
      assert.equal(backend.isShared, shared);
      const cases = [1, 2, 3, 4, 5, 6].map((seed) => ({
        name: `seed ${seed}`,
        scale: 4,
        outputs: new GraphSampler(seed, "f32").sample(8),
      }));
      assertConforms(backend, cases);
    });

    test("updates are written into the arrays that were given, inside and outside of the memory", () => {
      const [x, step] = [input({ shape: [5000], dtype: "f32" }), input({ shape: [5000], dtype: "f32" })];
      const moved = e.add(x, step);
      const program = backend.compile(graph([x, step], [sum(moved, [0]), moved], [{ input: 0, output: 1 }]));
      const outside = new Float32Array(5000);
      const inside = backend.copy?.(outside) as TypedArray;
      assert.equal(inside.buffer === outside.buffer, false);
      const steps = new Float32Array(5000).fill(0.5);
      for (const array of [outside, inside, outside, inside]) {
        const [, updated] = program.run([array, steps]);
        assert.equal(updated, array);
      }
      for (const array of [outside, inside]) assert.ok(array.every((v) => v === 1));
    });

    test("arrays stay right while the memory grows", () => {
      const x = input({ shape: [1 << 16], dtype: "f32" });
      const small = backend.compile(graph([x], [e.add(x, x)]));
      const values = ramp(1 << 16);
      const [first] = small.run([values]);
      const kept = backend.copy?.(values) as TypedArray;
      // An engine may make new buffers for all memories when one of them grows.
      new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true }).grow(1);
      const wide = input({ shape: [1 << 24], dtype: "f32" });
      backend.compile(graph([wide], [sum(e.exp(wide), [0])])).run([new Float32Array(1 << 24)]);
      assert.deepEqual(
        first,
        values.map((v) => 2 * v),
      );
      assert.deepEqual([...kept], [...values]);
      assert.deepEqual(small.run([kept])[0], first);
    });

    test("more than there is: names what is needed, what there is, and a cure", () => {
      const own = wasmBackend({ shared, threadHost: null, limitBytes: 16 << 20 });
      const x = input({ shape: [1 << 20], dtype: "f32" });
      const fits = own.compile(graph([x], [e.neg(x)]));
      const wide = input({ shape: [1 << 23], dtype: "f32" });
      const tooLarge = own.compile(graph([wide], [e.neg(wide)]));
      fits.run([ramp(1 << 20)]);
      assert.throws(
        () => tooLarge.run([new Float32Array(1 << 23)]),
        (error) =>
          error instanceof ManabiError &&
          /no memory for \d+ MiB .* of at most 16 MiB .*smaller batch/.test(error.message),
      );
      assert.equal(fits.run([ramp(1 << 20)])[0][1], Math.fround(11 - 1 / 7), "it goes on after that");
    });
  });

describe("memory", () => {
  const backend = wasmBackend({ threadHost: null });
  const x = input({ shape: [1 << 18], dtype: "f32" });
  const program = backend.compile(graph([x], [e.add(x, x), sum(x, [0])]));

  test("a loop that never yields does not fill it", () => {
    const values = ramp(1 << 18);
    const run = (turns: number) => {
      // New arrays every time, and one that comes again and again.
      for (let i = 0; i < turns; i++) program.run([i % 2 ? values : values.slice()]);
      return backend.usedBytes;
    };
    const most = run(1500);
    assert.ok(most < 900 << 20, `${most >> 20} MiB`);
    assert.equal(run(1500), most);
  });

  test("a variable that is read after every step does not fill it", () => {
    let array = backend.copy?.(new Float32Array(1 << 18)) as TypedArray;
    const run = (turns: number) => {
      for (let i = 0; i < turns; i++) array = backend.copy?.(array) as TypedArray;
      return backend.usedBytes;
    };
    const most = run(1500);
    assert.equal(run(1500), most);
  });

  test("copies of arrays follow what is noted as written", async () => {
    const { noteWrite } = await import("../../src/backends/backend.ts");
    const values = new Float32Array(1 << 18).fill(1);
    for (let i = 0; i < 3; i++) assert.equal(program.run([values])[1][0], 1 << 18);
    values.fill(2);
    noteWrite(values);
    for (let i = 0; i < 3; i++) assert.equal(program.run([values])[1][0], 1 << 19);
  });
});

test("equal forms share one function", () => {
  const backend = wasmBackend({ threadHost: null });
  const compile = (size: number) => {
    const x = input({ shape: [size, 100], dtype: "f32" });
    backend.compile(graph([x], [e.exp(sum(x, [1]))]));
  };
  compile(2000);
  const before = backend.functionCount;
  compile(5000);
  assert.equal(backend.functionCount, before);
});

test("16-bit floats are refused by name", () => {
  const x = input({ shape: [2], dtype: "f16" });
  assert.throws(
    () => wasmBackend({ threadHost: null }).compile(graph([x], [e.neg(x)])),
    /wasm: .* is f16.*cast to f32/,
  );
});
