/** What golden trajectories do not show: resuming, groups, clipping, schedules under jit, errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import { jit, type Tensor, tensor, variable } from "../../src/index.ts";
import { compareState, flattenState, type Stateful, unflattenState } from "../../src/io/state.ts";
import {
  adagrad,
  adam,
  adamW,
  clipByNorm,
  clipByValue,
  ema,
  globalNorm,
  gradScaler,
  lamb,
  noDecay,
  type Optimizer,
  oneCycle,
  optimizer,
  type Rule,
  rmsprop,
  sgd,
} from "../../src/optim/index.ts";
import { Problem } from "./problem.ts";

setBackend("reference");

/** Saves to text and arrays, as a checkpoint file does, and brings back. */
async function throughFile(from: Stateful, to: Stateful): Promise<void> {
  const { json, tensors } = flattenState(await from.state());
  const copies = new Map([...tensors].map(([key, t]) => [key, { ...t, data: t.data.slice() as typeof t.data }]));
  const state = unflattenState(json, copies);
  assert.deepEqual(compareState(state, to.layout?.() ?? {}), []);
  await to.restore(state);
}

test("a scaler is saved and restored with its optimizer, in the middle of skipped steps and of a stretch of good ones", async () => {
  const bad = new Set([0, 1, 9]);
  const make = (p: Problem) => {
    const scaler = gradScaler({ initScale: 64, growthInterval: 4 });
    const opt = optimizer(p, adam({ lr: 0.05 }), { scaler, clipNorm: 0.5 });
    const step = jit((fault: Tensor) => {
      const scale = scaler.value;
      opt.update(new Map([...p.gradients()].map(([name, g]) => [name, g.mul(scale).mul(fault)])));
    });
    return { opt, scaler, run: (t: number) => step(tensor(bad.has(t) ? Number.POSITIVE_INFINITY : 1)) };
  };
  const [whole, first, second] = [new Problem(), new Problem(), new Problem()];
  const straight = make(whole);
  for (let t = 0; t < 16; t++) straight.run(t);
  const begun = make(first);
  for (let t = 0; t < 8; t++) begun.run(t);
  const resumed = make(second);
  await throughFile(begun.opt, resumed.opt);
  second.weight.assign(first.weight.value);
  second.bias.assign(first.bias.value);
  for (let t = 8; t < 16; t++) resumed.run(t);
  assert.deepEqual(second.values(), whole.values());
  assert.equal(resumed.scaler.value.itemSync(), straight.scaler.value.itemSync());
  assert.equal(resumed.opt.step, 16);
  // Without the skipped steps it is the same path: they leave nothing behind, in the corrections of Adam neither.
  const plain = new Problem();
  const opt = optimizer(plain, adam({ lr: 0.05 }), { clipNorm: 0.5 });
  for (let t = 0; t < 13; t++) opt.update(plain.gradients());
  const off = plain.values().map((v, i) => Math.abs(v - whole.values()[i]));
  assert.ok(Math.max(...off) < 1e-6, `${Math.max(...off)}`);
});

test("options of a scaler are checked", () => {
  assert.throws(() => gradScaler({ initScale: 0 }), /initScale is 0; it must be above 0/);
  assert.throws(() => gradScaler({ growthFactor: 1 }), /growthFactor is 1; it must be above 1/);
  assert.throws(() => gradScaler({ backoffFactor: 2 }), /backoffFactor is 2; it must be between 0 and 1/);
  assert.throws(() => gradScaler({ growthInterval: 0.5 }), /growthInterval is 0.5; it must be an integer above 0/);
});

const lr = oneCycle(0.1, 20);
const rules: Record<string, Rule> = {
  sgd: sgd({ lr, momentum: 0.9, dampening: 0.1, weightDecay: 0.01 }),
  adam: adam({ lr, amsgrad: true }),
  adamW: adamW({ lr }),
  rmsprop: rmsprop({ lr, centered: true, momentum: 0.5 }),
  adagrad: adagrad({ lr, lrDecay: 0.01, initialAccumulatorValue: 0.1 }),
  lamb: lamb({ lr, weightDecay: 0.1 }),
};
const stepOf = (problem: Problem, opt: Optimizer, update = () => {}) =>
  jit(() => {
    opt.update(problem.gradients());
    update();
  });

for (const [name, rule] of Object.entries(rules))
  test(`${name}: ten steps, saved and restored, and ten more are twenty, bit for bit`, async () => {
    const [whole, first, second] = [new Problem(), new Problem(), new Problem()];
    const make = (p: Problem) => {
      const [opt, average] = [optimizer(p, rule, { clipNorm: 0.5 }), ema(p, (step) => Math.min(0.9, step / 10))];
      return { opt, average, step: stepOf(p, opt, () => average.update()) };
    };
    const straight = make(whole);
    for (let i = 0; i < 20; i++) straight.step();

    const before = make(first);
    for (let i = 0; i < 10; i++) before.step();
    const after = make(second);
    await throughFile(before.opt, after.opt);
    await throughFile(before.average, after.average);
    second.weight.assign(first.weight.value);
    second.bias.assign(first.bias.value);
    before.step(); // a state that has been read does not change with the run it was read from
    for (let i = 0; i < 10; i++) after.step();

    assert.deepEqual(second.values(), whole.values());
    const averages = [
      await straight.average.apply(() => whole.values()),
      await after.average.apply(() => second.values()),
    ];
    assert.deepEqual(averages[0], averages[1]);
    assert.equal(after.opt.step, 20);
  });

test("a step is the same inside and outside of jit", () => {
  const [a, b] = [new Problem(), new Problem()];
  const [traced, direct] = [optimizer(a, rules.adamW), optimizer(b, rules.adamW)];
  const step = stepOf(a, traced);
  for (let i = 0; i < 5; i++) {
    step();
    direct.update(b.gradients());
  }
  assert.deepEqual(a.values(), b.values());
});

test("the rate of a schedule is readable without a device, and recording does not count as a step", () => {
  const problem = new Problem();
  const opt = optimizer(problem, sgd({ lr: (step) => 1 / (1 + step) }));
  assert.deepEqual([opt.step, opt.lr], [0, 1]);
  const step = stepOf(problem, opt);
  step.describe();
  assert.equal(opt.step, 0);
  step();
  step();
  step();
  assert.deepEqual([opt.step, opt.lr], [3, 1 / 3]);
});

test("two updates in one program are two steps", () => {
  const [a, b] = [new Problem(), new Problem()];
  const [twice, once] = [optimizer(a, rules.adam), optimizer(b, rules.adam)];
  const both = jit(() => {
    twice.update(a.gradients());
    twice.update(a.gradients());
  });
  both();
  both();
  const step = stepOf(b, once);
  for (let i = 0; i < 4; i++) step();
  assert.equal(twice.step, 4);
  assert.deepEqual(a.values(), b.values());
});

test("groups set decay and rate by name or by shape; the first match counts", () => {
  const zero = new Map([
    ["fc.weight", tensor(new Float32Array(12), [3, 4])],
    ["fc.bias", tensor(new Float32Array(4))],
  ]);
  const moved = (groups: Parameters<typeof optimizer>[2]) => {
    const problem = new Problem();
    const [w, b] = [problem.weight.dataSync()[1], problem.bias.dataSync()[1]];
    optimizer(problem, sgd({ lr: 0.5, weightDecay: 0.5 }), groups).update(zero);
    return [problem.weight.dataSync()[1] / w, problem.bias.dataSync()[1] / b].map((r) => Math.round(r * 1e4) / 1e4);
  };
  assert.deepEqual(moved({}), [0.75, 0.75]);
  assert.deepEqual(moved({ groups: [noDecay] }), [0.75, 1]);
  assert.deepEqual(moved({ groups: [{ match: /^fc\.w/, lrScale: 0.5 }] }), [0.875, 0.75]);
  const both = [
    { match: /weight$/, weightDecay: 1 },
    { match: () => true, lrScale: 2 },
  ];
  assert.deepEqual(moved({ groups: both }), [0.5, 0.5]);
});

test("clipping by norm keeps the direction, by value each element", () => {
  const grads = new Map([
    ["a", tensor([3, -4])],
    ["b", tensor([[12]])],
  ]);
  assert.equal(globalNorm(grads).itemSync(), 13);
  const [clipped, norm] = clipByNorm(grads, 6.5);
  assert.equal(norm.itemSync(), 13);
  const close = (x: Tensor | undefined, want: number[]) =>
    x?.dataSync().forEach((v, i) => {
      assert.ok(Math.abs(v - want[i]) < 1e-5);
    });
  close(clipped.get("a"), [1.5, -2]);
  close(clipped.get("b"), [6]);
  close(clipByNorm(grads, 20)[0].get("a"), [3, -4]);
  close(clipByValue(grads, 3.5).get("a"), [3, -3.5]);
  assert.throws(() => clipByNorm(grads, 0), /limit is 0; it must be above 0/);
});

test("averages take the place of the values only inside of apply", async () => {
  const problem = new Problem();
  const average = ema(problem, 0.5);
  const start = problem.values();
  problem.weight.assign(problem.weight.add(1));
  problem.bias.assign(problem.bias.add(1));
  average.update();
  await average.apply(async () => {
    for (const [i, v] of problem.values().entries()) assert.ok(Math.abs(v - start[i] - 0.5) < 1e-6);
    assert.throws(() => average.update(), /update inside of apply/);
    await assert.rejects(average.state(), /state inside of apply/);
  });
  for (const [i, v] of problem.values().entries()) assert.ok(Math.abs(v - start[i] - 1) < 1e-6);
  await assert.rejects(
    average.apply(() => Promise.reject(new Error("x"))),
    /x/,
  );
  assert.ok(Math.abs(problem.values()[0] - start[0] - 1) < 1e-6);
});

test("wrong parameters, gradients and states are named", async () => {
  const problem = new Problem();
  const opt = optimizer(problem, rules.adam);
  assert.throws(() => opt.update(new Map([["weight", tensor(1)]])), /no gradient for parameter "fc.weight".*weight/s);
  assert.throws(() => optimizer([], rules.adam), /no parameters/);
  const fixed = { namedParameters: (): [string, Tensor][] => [["w", tensor(1)]] };
  assert.throws(() => optimizer(fixed, rules.adam), /"w" is no variable/);
  const state = await opt.state();
  assert.throws(() => optimizer(problem, rules.sgd).restore(state), /of rule "adam", this optimizer's is "sgd"/);
  assert.throws(() => opt.restore({ ...state, step: -1 }), /step is -1/);
  const other = optimizer([["w", variable(1)]], rules.adam);
  assert.throws(() => other.restore(state), /no array "slots\/w\/m"/);
  const small = optimizer([["fc.weight", variable(1)]], rules.adam);
  assert.throws(() => small.restore(state), /"slots\/fc.weight\/m" is f32\[3,4\] in the state, f32\[\] here/);
  assert.equal(opt.step, 0);
});

test("parameters that begin later stay until then, and are then updated as if training had just begun", () => {
  for (const rule of [adam({ lr: 0.05 }), sgd({ lr: 0.05, momentum: 0.9, dampening: 0.5 })]) {
    const [late, fresh] = [new Problem(), new Problem()];
    const opt = optimizer(late, rule, { groups: [{ match: /weight/, from: 3 }] });
    const before = late.values();
    for (let i = 0; i < 3; i++) opt.update(new Map([...late.gradients()].filter(([name]) => name !== "fc.weight")));
    assert.deepEqual(late.weight.value.dataSync(), fresh.weight.value.dataSync());
    assert.notDeepEqual(late.values(), before);
    late.bias.assign(fresh.bias.value);
    opt.update(late.gradients());
    optimizer(fresh, rule).update(fresh.gradients());
    assert.deepEqual(late.weight.value.dataSync(), fresh.weight.value.dataSync());
    assert.throws(() => opt.update(new Map()), /no gradient for parameter "fc.bias"/);
  }
  const from = 1.5;
  assert.throws(() => optimizer(new Problem(), sgd({ lr: 1 }), { groups: [{ match: /./, from }] }), /"from" is 1.5/);
});
