/** Kernels that run over the result of an operation as it is computed: the same values, on every backend. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import * as m from "../../src/index.ts";
import { preparedWebgpu } from "../support/webgpu.ts";

await preparedWebgpu();
after(() => setBackend("auto"));

const wave = (...shape: number[]): m.Tensor =>
  m.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(0.7 * i)),
    { shape },
  );

type Step = (x: m.Tensor) => m.Tensor;

/** Steps over a variable `p` of [2, 6, 9, 9], whose value counts too. */
const steps: Readonly<Record<string, (p: m.Variable) => Step>> = {
  "bias, residual and activation after a convolution": () => (x) =>
    m.relu(m.conv2d(x, wave(6, 6, 3, 3), wave(6), { padding: 1 }).add(x)),
  "bias and activation after a product": () => (x) => m.linear(x.reshape([12, 81]), wave(40, 81), wave(40)).tanh(),
  "a product whose terms are split": () => (x) =>
    m
      .linear(x.reshape([1, 972]), wave(20, 972), wave(20))
      .add(x.sum())
      .tanh(),
  "many terms, few results": () => (x) => x.reshape([2, 486]).matmul(wave(486, 3)).add(wave(3)),
  "a depthwise convolution": () => (x) => m.conv2d(x, wave(6, 1, 3, 3), wave(6), { groups: 6 }).square(),
  "an update that reads what it overwrites": (p) => (x) => {
    p.assign(p.add(m.conv2d(x, wave(6, 6, 1, 1))));
    return x.sum();
  },
  "an update that does not": (p) => (x) => {
    p.assign(m.conv2d(x, wave(6, 6, 1, 1)).mul(2));
    return p.value.sum();
  },
  "in a loop": () => (x) =>
    m.scan(
      ([h], [step]) => {
        const next = m.linear(h, wave(40, 40), wave(40)).add(step).tanh();
        return [[next], []];
      },
      [wave(6, 40)],
      [wave(5, 6, 40).mul(x.mean())],
    )[0][0],
};

async function run(make: (p: m.Variable) => Step): Promise<Float64Array[]> {
  const p = m.variable(wave(2, 6, 9, 9));
  const out = m.jit(make(p))(wave(2, 6, 9, 9).mul(0.5));
  return [Float64Array.from(await out.data()), Float64Array.from(await p.data())];
}

const want = new Map<string, Float64Array[]>();
setBackend("reference");
for (const [name, make] of Object.entries(steps)) want.set(name, await run(make));

for (const { name: backend, works, detail } of backendStatus())
  if (backend !== "reference")
    describe(`epilogues on ${backend}`, { skip: !works && detail }, () => {
      for (const [name, make] of Object.entries(steps))
        test(name, async () => {
          setBackend(backend);
          const got = await run(make);
          for (const [k, values] of (want.get(name) as Float64Array[]).entries()) {
            const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
            for (const [i, v] of values.entries())
              assert.ok(Math.abs(got[k][i] - v) <= 1e-5 * scale, `result ${k} [${i}] is ${got[k][i]}, not ${v}`);
          }
        });
    });

test("webgpu attaches what follows products and convolutions", { skip: await preparedWebgpu() }, () => {
  setBackend("webgpu");
  const step = m.jit((x: m.Tensor) => m.linear(x, wave(9, 5), wave(9)).tanh());
  assert.match(step.describe(wave(4, 5)), /gemm_f32\(.*\n {2}then for/);
});
