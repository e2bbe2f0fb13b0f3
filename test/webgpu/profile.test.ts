/** Times of instructions by the timestamps of the device. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jit, scan, setBackend, type Tensor, tensor, variable } from "../../src/index.ts";
import { preparedWebgpu, webgpuUnderTest } from "../support/webgpu.ts";

const device = (await webgpuUnderTest())?.device;
const skip = device?.gpu.features.has("timestamp-query") ? await preparedWebgpu() : "no timestamps";
after(() => setBackend("auto"));

test("every instruction has its time, a loop that of its body, and the run counts as one", { skip }, async () => {
  setBackend("webgpu");
  const total = variable(tensor(new Float32Array(8), { shape: [2, 4] }));
  const step = jit((xs: Tensor, w: Tensor) => {
    const [[h]] = scan(([h], x) => [[h.matmul(w).add(x).tanh()], h], [xs.select(0, 0)], xs);
    total.assign(total.add(h));
    return h.sum();
  });
  const xs = tensor(new Float32Array(160).fill(0.1), { shape: [20, 2, 4] });
  const w = tensor(new Float32Array(16), { shape: [4, 4] });
  await step(xs, w).item();
  const once = await total.data();
  const timings = await step.profile(xs, w);

  const at = timings.findIndex(({ kind }) => kind === "loop");
  const body = timings.slice(at + 1).filter(({ depth }) => depth === 1);
  assert.ok(at >= 0 && body.length >= 2);
  assert.ok(body.every(({ calls }) => calls === 20));
  assert.ok(body.some(({ name }) => name === "gemm_f32"));
  assert.ok(timings.every(({ seconds }) => seconds >= 0 && seconds < 10));
  assert.ok(timings.reduce((sum, { seconds }) => sum + seconds, 0) > 0);
  const inside = body.reduce((sum, { seconds }) => sum + seconds, 0);
  assert.ok(Math.abs(timings[at].seconds - inside) < 1e-12);

  const twice = await total.data();
  assert.deepEqual(
    [...twice],
    [...once].map((v) => Math.fround(2 * v)),
  );
});
