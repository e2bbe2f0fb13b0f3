/** What is submitted and never awaited is bounded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog } from "../../src/backends/webgpu/backlog.ts";
import { Tensor } from "../../src/index.ts";
import { input } from "../../src/primitives/leaf.ts";
import { webgpuUnderTest } from "../support/webgpu.ts";

/** A backlog over a queue that is done when it is told to be. */
function backlog() {
  const warnings: string[] = [];
  const waiting: (() => void)[] = [];
  const whenDone = () => new Promise<void>((resolve) => waiting.push(resolve));
  const log = new Backlog(whenDone, (text) => warnings.push(text), { submissions: 32, inputBytes: 2 ** 24 });
  const done = async () => {
    for (const resolve of waiting.splice(0)) resolve();
    await new Promise(setImmediate);
  };
  return { log, warnings, waiting, done };
}

test("a loop that never awaits is told once, then refused, with the cure; it goes on once the device is done", async () => {
  const { log, warnings, waiting, done } = backlog();
  log.add(0);
  assert.deepEqual(warnings, []);
  for (let i = 1; i < 32; i++) {
    log.check();
    log.add(0);
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^2 submissions .* faster than it is done; await a result now and then/);
  assert.throws(() => log.check(), /32 submissions with 0.00 MiB .* at most 32 submissions or 16 MiB may; await/);
  assert.equal(waiting.length, 1, "one question is under way, not one for each submission");
  await done();
  assert.equal(log.submissions, 31, "the question was asked after the first submission");
  log.check();
  await done();
  assert.equal(log.submissions, 0);
  assert.equal(waiting.length, 0, "nothing is asked while nothing waits");
});

test("bytes of inputs count too", async () => {
  const { log, warnings, done } = backlog();
  log.add(2 ** 20);
  assert.equal(warnings.length, 1);
  log.add(2 ** 24 - 2 ** 20);
  assert.throws(() => log.check(), /2 submissions with 16 MiB of inputs/);
  await done();
  await done();
  assert.equal(log.inputBytes, 0);
  log.check();
});

const backend = await webgpuUnderTest();

test("a device counts its runs and their inputs until they are done", { skip: backend === null }, async () => {
  if (!backend?.finish) return;
  const { backlog } = backend.device;
  const x = input({ shape: [1024], dtype: "f32" });
  const program = backend.compile({ inputs: [x], outputs: [new Tensor(x).mul(2).node], updates: [] });
  for (let i = 0; i < 5; i++) program.run([new Float32Array(1024).fill(i)]);
  assert.equal(backlog.submissions, 5);
  assert.equal(backlog.inputBytes, 5 * 4096);
  const [last] = program.run([new Float32Array(1024).fill(7)]);
  await backend.finish();
  while (backlog.submissions) await new Promise(setImmediate);
  assert.equal((await last.read())[0], 14);
});

test("finish tells what the device finds wrong", { skip: backend === null }, async () => {
  if (!backend?.finish) return;
  backend.device.watch("a bad shader", () => backend.device.gpu.createShaderModule({ code: "fn broken(" }));
  await assert.rejects(backend.finish(), /a bad shader/);
});
