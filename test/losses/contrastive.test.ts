/** NT-Xent against its definition, and its gradient. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import { fromHost, ntXent, Tensor } from "../../src/index.ts";
import { checkGrads, spread } from "../support/check-grads.ts";

setBackend("reference");

/** -log(exp(s_ij / t) / sum over k other than i of exp(s_ik / t)) for every view i and its partner j. */
function byDefinition(rows: readonly (readonly number[])[], temperature: number): number[] {
  const dot = (u: readonly number[], v: readonly number[]) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  const cosine = (u: readonly number[], v: readonly number[]) => dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
  return rows.map((row, i) => {
    const partner = rows[(i + rows.length / 2) % rows.length];
    const others = rows.filter((_, k) => k !== i).map((other) => Math.exp(cosine(row, other) / temperature));
    return -Math.log(Math.exp(cosine(row, partner) / temperature) / others.reduce((a, b) => a + b, 0));
  });
}

const [n, d] = [5, 3];
const points = [spread([n, d], -1, 1, 1), spread([n, d], -1, 1, 2)];
const rows = points.flatMap(({ values }) => Array.from({ length: n }, (_, i) => values.slice(i * d, (i + 1) * d)));
const [a, b] = points.map(({ shape, values }) => fromHost({ shape, dtype: "f64", data: Float64Array.from(values) }));

test("NT-Xent is what its formula says, at any temperature", () => {
  for (const temperature of [0.1, 0.5, 2]) {
    const losses = [...ntXent(a, b, { temperature, reduction: "none" }).dataSync()];
    byDefinition(rows, temperature).forEach((want, i) => {
      assert.ok(Math.abs(losses[i] - want) < 1e-12 * Math.max(1, want), `${i}: ${losses[i]}, ${want}`);
    });
  }
});

test("NT-Xent: gradients of first and second order, and wrong calls", () => {
  checkGrads((x, y) => ntXent(new Tensor(x), new Tensor(y), { temperature: 0.3 }).node, points);
  assert.throws(() => ntXent(a, b.slice(0, 0, 2)), /they must be equal/);
  assert.throws(() => ntXent(a, b, { temperature: 0 }), /temperature 0 must be above 0/);
});
