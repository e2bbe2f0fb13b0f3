/** Division and remainder of positions, against the arithmetic itself at every position. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addIdx,
  divIdx,
  flatten,
  type Idx,
  modIdx,
  offsetIdx,
  ofVar,
  scaleIdx,
  unflatten,
} from "../../src/compiler/idx.ts";
import type { LoopVar } from "../../src/compiler/ir.ts";
import { newVar } from "../../src/compiler/kernel.ts";

function valueAt(x: Idx, at: ReadonlyMap<LoopVar, number>): number {
  return x.terms.reduce((sum, { atom, coef }) => {
    if (atom.kind === "ref") throw new Error("no computed positions here");
    if (atom.kind === "var") return sum + coef * (at.get(atom.v) as number);
    const inner = valueAt(atom.of, at);
    const quotient = Math.floor(inner / atom.by);
    return sum + coef * (atom.kind === "div" ? quotient : inner - quotient * atom.by);
  }, x.offset);
}

const [a, b, c] = [newVar(6), newVar(4), newVar(5)];
const positions = Array.from(
  { length: 120 },
  (_, i) =>
    new Map([
      [a, Math.floor(i / 20)],
      [b, Math.floor(i / 5) % 4],
      [c, i % 5],
    ]),
);

test("quotients and remainders", () => {
  for (const [ca, cb, cc] of [
    [20, 5, 1],
    [40, 10, 1],
    [12, 0, 1],
    [-20, 5, 1],
    [20, -5, -1],
    [7, 3, 2],
    [30, 10, 5],
  ])
    for (const offset of [0, 3, -4, 11])
      for (const by of [2, 5, 10, 20, 40, 60, 100]) {
        const terms = [a, b, c].map((v, i) => scaleIdx(ofVar(v), [ca, cb, cc][i]));
        const x = offsetIdx(terms.reduce(addIdx), offset);
        for (const at of positions) {
          const plain = valueAt(x, at);
          const quotient = Math.floor(plain / by);
          assert.equal(valueAt(divIdx(x, by), at), quotient, `(${x.key}) / ${by}`);
          assert.equal(valueAt(modIdx(x, by), at), plain - quotient * by, `(${x.key}) % ${by}`);
        }
      }
});

test("merged axes are taken apart and joined again without a trace", () => {
  const rows = newVar(24);
  const columns = newVar(5);
  const index = [ofVar(rows), ofVar(columns)];
  const apart = unflatten(flatten(index, [24, 5]), [6, 4, 5]);
  assert.equal(flatten(apart, [6, 4, 5]).key, flatten(index, [24, 5]).key);
});
