import assert from "node:assert/strict";
import { test } from "node:test";
import { printGraph } from "../../src/graph/print.ts";
import { broadcast, reshape, sum } from "../../src/primitives/broadcast.ts";
import { dot } from "../../src/primitives/contract.ts";
import { pick, scan } from "../../src/primitives/control.ts";
import { add, exp, mul } from "../../src/primitives/elementwise.ts";
import { constantLike, data, input } from "../../src/primitives/leaf.ts";
import { pad } from "../../src/primitives/movement.ts";

const placeholder = (...shape: number[]) => input({ shape, dtype: "f32" });

test("one node a line, inputs first, numbered from 0", () => {
  const unused = placeholder();
  const w = placeholder(3, 2);
  const x = placeholder(4, 3);
  const bias = data({ shape: [1, 2], dtype: "f32", data: Float32Array.of(1, 2) });
  const y = add(dot(x, w), broadcast(bias, [4, 2]));
  const scaled = mul(y, constantLike(y, Number.NEGATIVE_INFINITY));
  const outputs = [scaled, add(w, w), sum(y, [0, 1])];
  assert.equal(
    printGraph({ inputs: [x, w, unused], outputs, updates: [{ input: 1, output: 1 }] }),
    [
      "%0 f32[4,3] = input",
      "%1 f32[3,2] = input",
      "%2 f32[] = input",
      "%3 f32[1,2] = data",
      "%4 f32[4,2] = dot %0 %1",
      "%5 f32[4,2] = broadcast %3",
      "%6 f32[4,2] = add %4 %5",
      "%7 f32[4,2] = constant value=-Infinity",
      "%8 f32[4,2] = mul %6 %7",
      "%9 f32[3,2] = add %1 %1",
      "%10 f32[] = sum %6 axes=[0,1]",
      "return %8, %9 -> %1, %10",
    ].join("\n"),
  );
});

test("bodies of loops stand below their node", () => {
  const [h, x] = [placeholder(), placeholder()];
  const body = { inputs: [h, x], outputs: [exp(add(h, x))] };
  const attrs = { body, length: 5, carries: 1, sequences: 1, reverse: false };
  const [initial, xs] = [placeholder(), placeholder(5)];
  const last = reshape(pick(scan([initial, xs], attrs), 0), [1]);
  const padded = pad(last, { lo: [1], hi: [0], interior: [0], value: 0 });
  assert.equal(
    printGraph({ inputs: [initial, xs], outputs: [padded], updates: [] }),
    [
      "%0 f32[] = input",
      "%1 f32[5] = input",
      "%2 f32[] = scan %0 %1 length=5 carries=1 sequences=1 reverse=false",
      "  %0 f32[] = input",
      "  %1 f32[] = input",
      "  %2 f32[] = add %0 %1",
      "  %3 f32[] = exp %2",
      "  return %3",
      "%3 f32[] = pick %2 index=0",
      "%4 f32[1] = reshape %3",
      "%5 f32[2] = pad %4 lo=[1] hi=[0] interior=[0] value=0",
      "return %5",
    ].join("\n"),
  );
});
