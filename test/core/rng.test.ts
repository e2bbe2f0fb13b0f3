import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, Rng, seedKey, threefry2x32 } from "../../src/core/rng.ts";

test("threefry2x32 gives the known answers of Random123 and JAX", () => {
  assert.deepEqual(threefry2x32(0, 0, 0, 0), [0x6b200159, 0x99ba4efe]);
  assert.deepEqual(threefry2x32(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), [0x1cb996fc, 0xbb002be7]);
  assert.deepEqual(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3), [0xc4923a9c, 0x483df7a0]);
  // jax.random.split(jax.random.PRNGKey(0)) == [[4146024105, 967050713], [2718843009, 1272950319]]
  assert.deepEqual(threefry2x32(0, 0, 0, 2), [4146024105, 2718843009]);
  assert.deepEqual(threefry2x32(0, 0, 1, 3), [967050713, 1272950319]);
});

test("keys depend on every bit of seed and data", () => {
  assert.deepEqual(seedKey(5), [0, 5]);
  assert.deepEqual(seedKey(2 ** 40 + 3), [256, 3]);
  assert.notDeepEqual(fold([0, 1], 1), fold([0, 1], 2 ** 32 + 1));
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => seedKey(bad), /must be an integer/);
});

test("draws have the moments of their distributions", () => {
  const rng = new Rng(seedKey(3));
  const n = 20000;
  const moments = (draw: () => number): [mean: number, variance: number] => {
    const values = Array.from({ length: n }, draw);
    const mean = values.reduce((a, b) => a + b) / n;
    return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / n];
  };
  const near = ([mean, variance]: [number, number], m: number, v: number) => {
    assert.ok(Math.abs(mean - m) < 5 * Math.sqrt(v / n), `mean ${mean}, expected ${m}`);
    assert.ok(Math.abs(variance - v) < 0.08 * v, `variance ${variance}, expected ${v}`);
  };
  near(
    moments(() => rng.uniform(-1, 3)),
    1,
    16 / 12,
  );
  near(
    moments(() => rng.int(6)),
    2.5,
    35 / 12,
  );
  near(
    moments(() => rng.normal()),
    0,
    1,
  );
  near(
    moments(() => rng.gamma(0.4)),
    0.4,
    0.4,
  );
  near(
    moments(() => rng.beta(0.2, 0.2)),
    0.5,
    0.25 / 1.4,
  );
});

test("a permutation holds every number once, and its places are uniform", () => {
  const order = new Rng(seedKey(1)).permutation(1000);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  const counts = new Array(4).fill(0);
  for (let i = 0; i < 4000; i++) counts[new Rng(fold(seedKey(9), i)).permutation(4)[0]]++;
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 150, `${counts}`);
});
