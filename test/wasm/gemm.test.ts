/** Matrix products of the wasm backend against the reference: every size around a tile, strides, offsets, batches. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readProduct } from "../../src/backends/wasm/ops/gemm.ts";
import { blockedCalls } from "../../src/backends/wasm/ops/gemm-blocked.ts";
import { operationCalls } from "../../src/backends/wasm/ops/index.ts";
import type { DType } from "../../src/core/dtype.ts";
import type { Node } from "../../src/graph/node.ts";
import { broadcast, reshape } from "../../src/primitives/broadcast.ts";
import { dot } from "../../src/primitives/contract.ts";
import { permute, slice } from "../../src/primitives/movement.ts";
import { checkOperation, packedApart, random } from "./check-operation.ts";

/** A matrix of the last two axes as it may lie in memory. */
const layouts = {
  rows: (dtype: DType, shape: readonly number[], seed: number): Node => random(dtype, shape, seed),
  columns: (dtype: DType, shape: readonly number[], seed: number): Node => {
    const axes = shape.map((_, i) => i);
    const perm = [...axes.slice(0, -2), axes.length - 1, axes.length - 2];
    return permute(
      random(
        dtype,
        perm.map((i) => shape[i]),
        seed,
      ),
      perm,
    );
  },
  slices: (dtype: DType, shape: readonly number[], seed: number): Node =>
    slice(
      random(
        dtype,
        shape.map((d) => 2 * d + 1),
        seed,
      ),
      { starts: shape.map(() => 1), sizes: shape, steps: shape.map(() => 2) },
    ),
};
const names = Object.keys(layouts) as (keyof typeof layouts)[];

type CallsOf = Parameters<typeof checkOperation>[2];

function checkProduct(
  dtype: DType,
  batch: readonly number[],
  m: number,
  n: number,
  k: number,
  callsOf?: CallsOf,
): void {
  for (const left of names)
    for (const right of names) {
      const x = layouts[left](dtype, [...batch, m, k], 1);
      const y = layouts[right](dtype, [...batch, k, n], 2);
      checkOperation(dot(x, y), `${dtype} ${batch} ${m}x${k} ${left} * ${k}x${n} ${right}`, callsOf);
    }
}

for (const dtype of ["f32", "f64"] as const) {
  test(`${dtype}: small products`, () => {
    for (const m of [1, 2, 5, 7, 13])
      for (const n of [1, 3, 4, 8, 11, 17]) for (const k of [1, 6, 9]) checkProduct(dtype, [], m, n, k);
  });
  test(`${dtype}: packed panels`, () => {
    for (const [m, n, k] of [
      [61, 67, 71],
      [130, 40, 300],
      [33, 260, 530],
      [64, 64, 64],
    ])
      checkProduct(dtype, [], m, n, k);
  });
  test(`${dtype}: vectors`, () => {
    for (const [m, n, k] of [
      [1, 1030, 37],
      [1030, 1, 37],
      [1, 5, 1000],
      [5, 1, 1000],
    ])
      checkProduct(dtype, [], m, n, k);
  });
  test(`${dtype}: batches`, () => {
    checkProduct(dtype, [3], 7, 9, 5);
    checkProduct(dtype, [2, 3], 1, 9, 5);
    checkProduct(dtype, [2, 3], 70, 50, 60);
    const x = random(dtype, [2, 3, 5, 4], 1);
    const y = random(dtype, [4, 6], 2);
    checkOperation(dot(x, broadcast(reshape(y, [1, 1, 4, 6]), [2, 3, 4, 6])), `${dtype} one right factor for all`);
    const z = random(dtype, [3, 4, 6], 3);
    checkOperation(dot(x, broadcast(reshape(z, [1, 3, 4, 6]), [2, 3, 4, 6])), `${dtype} one right factor for some`);
  });
  test(`${dtype}: long sums of few results, in parts`, () => {
    checkProduct(dtype, [], 7, 9, 2500);
    checkProduct(dtype, [], 40, 33, 4099);
  });
  test(`${dtype}: one operand too large to be packed at once`, () => {
    const limit = 100 << 10;
    for (const [m, n] of [
      [40, 60],
      [60, 40],
    ])
      checkProduct(dtype, [], m, n, 1500, (op) => blockedCalls(readProduct(op, "gemm"), 1, limit));
  });
  test(`${dtype}: the right factor packed apart`, () => {
    for (const [m, n, k] of [
      [2, 90, 100],
      [33, 50, 300],
      [300, 20, 40],
    ])
      checkProduct(dtype, [], m, n, k, (op) => {
        const list = packedApart(op);
        assert.deepEqual(
          list.map(({ name }) => name),
          [`gemm_pack_${dtype}`, `gemm_packed_${dtype}`],
        );
        return list.flatMap(operationCalls);
      });
  });
  test(`${dtype}: nothing to do`, () => {
    for (const [m, n, k] of [
      [0, 4, 3],
      [3, 0, 4],
      [3, 4, 0],
    ])
      checkProduct(dtype, [], m, n, k);
    checkProduct(dtype, [0], 2, 3, 4);
  });
}
