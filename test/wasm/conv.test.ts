/** Convolutions of the wasm backend and their gradients against the reference. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { operationCalls } from "../../src/backends/wasm/ops/index.ts";
import { type ConvAttrs, conv, convInputGrad, convWeightGrad } from "../../src/primitives/contract.ts";
import { checkOperation, packedApart, random } from "./check-operation.ts";

interface Case {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly stride?: readonly number[];
  readonly padding?: readonly (readonly [number, number])[];
  readonly dilation?: readonly number[];
  readonly groups?: number;
}

const pad = (...amounts: number[]) => amounts.map((p) => [p, p] as const);

const cases: readonly Case[] = [
  { x: [2, 3, 9, 11], w: [5, 3, 3, 3], padding: pad(1, 1) },
  { x: [2, 3, 9, 11], w: [8, 3, 3, 3] },
  { x: [3, 4, 14, 14], w: [16, 4, 3, 3], padding: pad(1, 1) },
  { x: [20, 6, 4, 4], w: [13, 6, 3, 3], padding: pad(1, 1) },
  { x: [5, 3, 2, 2], w: [7, 3, 3, 3], padding: pad(1, 1) },
  { x: [2, 2, 1, 1], w: [3, 2, 3, 3], padding: pad(1, 1) },
  { x: [2, 3, 15, 17], w: [6, 3, 3, 3], stride: [2, 2], padding: pad(1, 1) },
  { x: [2, 3, 16, 16], w: [6, 3, 7, 7], stride: [2, 2], padding: pad(3, 3) },
  { x: [2, 3, 16, 16], w: [4, 3, 2, 2], stride: [2, 2] },
  {
    x: [1, 3, 14, 19],
    w: [4, 3, 3, 4],
    stride: [3, 2],
    padding: [
      [1, 2],
      [2, 0],
    ],
  },
  { x: [1, 2, 17, 17], w: [3, 2, 3, 3], stride: [4, 4], padding: pad(2, 2) },
  { x: [2, 2, 13, 12], w: [3, 2, 3, 3], dilation: [2, 3], padding: pad(2, 1) },
  { x: [1, 2, 20, 21], w: [3, 2, 3, 3], dilation: [2, 3], stride: [2, 2], padding: pad(2, 3) },
  { x: [2, 6, 8, 9], w: [4, 3, 3, 3], groups: 2, padding: pad(1, 1) },
  { x: [2, 8, 8, 9], w: [8, 2, 3, 3], groups: 4, stride: [2, 2], padding: pad(1, 1) },
  { x: [3, 7, 5, 6], w: [9, 7, 1, 1] },
  { x: [3, 6, 5, 6], w: [9, 2, 1, 1], groups: 3 },
  { x: [2, 7, 9, 8], w: [5, 7, 1, 1], stride: [2, 2] },
  { x: [2, 3, 23], w: [4, 3, 5], padding: pad(2) },
  { x: [2, 3, 23], w: [4, 3, 5], stride: [3], padding: pad(1) },
  { x: [1, 2, 300], w: [3, 2, 9], dilation: [4] },
  { x: [2, 2, 5, 6, 7], w: [3, 2, 3, 3, 3], padding: pad(1, 1, 1) },
  { x: [1, 2, 7, 8, 9], w: [3, 2, 3, 2, 3], stride: [2, 1, 2], padding: pad(1, 0, 1), dilation: [1, 2, 1] },
  { x: [1, 64, 40, 40], w: [9, 64, 3, 3], padding: pad(1, 1) },
  { x: [1, 1, 4, 4], w: [1, 1, 4, 4] },
  // Depth in slices; sums of several parts of the images, of several parts of the channels, of both.
  { x: [1, 100, 6, 7], w: [90, 100, 3, 3], padding: pad(1, 1) },
  { x: [1, 90, 9, 9], w: [7, 90, 3, 3], stride: [2, 2] },
  { x: [24, 4, 14, 14], w: [3, 4, 3, 3], padding: pad(1, 1) },
  { x: [3, 24, 8, 8], w: [17, 24, 3, 3], padding: pad(1, 1) },
  { x: [16, 17, 14, 15], w: [9, 17, 3, 3], padding: pad(1, 1) },
  { x: [0, 2, 5, 5], w: [3, 2, 3, 3] },
  { x: [2, 0, 5, 5], w: [3, 0, 3, 3] },
  { x: [2, 2, 5, 5], w: [0, 2, 3, 3] },
  // Depthwise.
  { x: [2, 6, 14, 14], w: [6, 1, 3, 3], groups: 6, padding: pad(1, 1) },
  { x: [2, 5, 15, 13], w: [5, 1, 3, 3], groups: 5, stride: [2, 2], padding: pad(1, 1) },
  { x: [1, 9, 7, 7], w: [9, 1, 5, 5], groups: 9, padding: pad(2, 2) },
  { x: [2, 4, 9, 9], w: [8, 1, 3, 3], groups: 4, padding: pad(1, 1) },
  { x: [1, 4, 3, 3], w: [4, 1, 3, 3], groups: 4, padding: pad(1, 1), dilation: [2, 1] },
];

const attrsOf = ({ x, stride, padding, dilation, groups = 1 }: Case): ConvAttrs => {
  const spatial = x.slice(2);
  return {
    stride: stride ?? spatial.map(() => 1),
    padding: padding ?? pad(...spatial.map(() => 0)),
    dilation: dilation ?? spatial.map(() => 1),
    groups,
  };
};

for (const dtype of ["f32", "f64"] as const) {
  test(`${dtype}: forward`, () => {
    for (const c of cases)
      checkOperation(
        conv(random(dtype, c.x, 1), random(dtype, c.w, 2), attrsOf(c)),
        `conv ${dtype} ${JSON.stringify(c)}`,
      );
  });

  test(`${dtype}: weights packed apart`, () => {
    let packed = 0;
    for (const c of cases)
      checkOperation(conv(random(dtype, c.x, 1), random(dtype, c.w, 2), attrsOf(c)), `${JSON.stringify(c)}`, (op) => {
        const list = packedApart(op);
        packed += list.length - 1;
        return list.flatMap(operationCalls);
      });
    assert.ok(packed > 20);
  });

  test(`${dtype}: gradient of the input`, () => {
    for (const c of cases) {
      const attrs = attrsOf(c);
      const [x, w] = [random(dtype, c.x, 1), random(dtype, c.w, 2)];
      const y = random(dtype, conv(x, w, attrs).shape, 3);
      const node = convInputGrad(y, w, { ...attrs, spatial: c.x.slice(2) });
      checkOperation(node, `input gradient ${dtype} ${JSON.stringify(c)}`);
    }
  });

  test(`${dtype}: gradient of the weights`, () => {
    for (const c of cases) {
      const attrs = attrsOf(c);
      const [x, w] = [random(dtype, c.x, 1), random(dtype, c.w, 2)];
      const y = random(dtype, conv(x, w, attrs).shape, 3);
      const node = convWeightGrad(x, y, { ...attrs, kernel: c.w.slice(2) });
      checkOperation(node, `weight gradient ${dtype} ${JSON.stringify(c)}`);
    }
  });
}
