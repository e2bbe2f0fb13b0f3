/** Times of instructions, and observers of jitted functions. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { jit, observeRuns, type ProgramRun } from "../../src/ops/jit.ts";
import { scan } from "../../src/ops/scan.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";
import { variable } from "../../src/ops/variable.ts";

const skip = backendStatus().some(({ name, works }) => name === "native" && works) ? false : "no C compiler";
after(() => setBackend("auto"));

const vec = (...values: number[]): Tensor => tensor(values);

describe("profile", { skip }, () => {
  test("every instruction has its time, those in loops the sum over all turns", async () => {
    setBackend("native");
    const run = jit(
      (xs: Tensor, w: Tensor) => scan(([h], x) => [[h.matmul(w).add(x).tanh()], h], [xs.select(0, 0)], xs)[0][0],
    );
    const [xs, w] = [
      tensor(new Float32Array(400).fill(0.1), { shape: [50, 2, 4] }),
      tensor(new Float32Array(16), { shape: [4, 4] }),
    ];
    run(xs, w);
    const timings = await run.profile(xs, w);
    const at = timings.findIndex(({ kind }) => kind === "loop");
    const body = timings.slice(at + 1).filter(({ depth }) => depth === 1);
    assert.ok(at >= 0 && body.length >= 2);
    assert.ok(timings.every(({ seconds }) => seconds >= 0 && seconds < 10));
    assert.ok(body.every(({ calls, seconds }) => calls === 50 && seconds > 0));
    const inside = body.reduce((sum, { seconds }) => sum + seconds, 0);
    assert.ok(inside <= timings[at].seconds, `${inside} s in the body, ${timings[at].seconds} s in the loop`);
  });

  test("an observer sees every run of a jitted function, which computes as before", () => {
    setBackend("native");
    const total = variable(vec(0, 0, 0));
    const step = jit((x: Tensor) => {
      total.assign(total.add(x));
      return x.mul(2);
    });
    const seen: ProgramRun[] = [];
    observeRuns((run) => seen.push(run));
    try {
      for (let i = 0; i < 3; i++) assert.deepEqual([...step(vec(1, 2, 3)).dataSync()], [2, 4, 6]);
    } finally {
      observeRuns(null);
    }
    step(vec(1, 2, 3));
    assert.deepEqual([...total.dataSync()], [4, 8, 12]);
    assert.equal(seen.length, 3);
    const [{ executable, parameters, variables, variableBytes, updates, timings, seconds }] = seen;
    assert.deepEqual([parameters, variables, variableBytes, updates], [["f32[3]"], 1, 12, 1]);
    assert.ok(seen.every((run) => run.executable === executable && run.seconds > 0));
    assert.ok(timings.length > 0 && timings.reduce((sum, t) => sum + t.seconds, 0) <= seconds);
  });

  test("what an observer throws ends the call, and nothing else", () => {
    setBackend("native");
    const double = jit((x: Tensor) => x.mul(2));
    observeRuns(() => {
      throw new Error("enough");
    });
    try {
      assert.throws(() => double(vec(1)), /enough/);
    } finally {
      observeRuns(null);
    }
    assert.deepEqual([...double(vec(4)).dataSync()], [8]);
  });
});
