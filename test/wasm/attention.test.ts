/** Fused attention of the wasm backend and its gradient against the reference: sizes around blocks, masks, layouts. */
import { test } from "node:test";
import type { DType } from "../../src/core/dtype.ts";
import type { Node } from "../../src/graph/node.ts";
import { attention, attentionGrad } from "../../src/primitives/attention.ts";
import { broadcast } from "../../src/primitives/broadcast.ts";
import { permute } from "../../src/primitives/movement.ts";
import { evaluate, leaf } from "../support/evaluate.ts";
import { checkOperation, random } from "./check-operation.ts";

const sizes = [
  [1, 1, 1, 1],
  [1, 7, 3, 5],
  [48, 64, 64, 64],
  [49, 97, 20, 33],
  [100, 196, 128, 7],
  [145, 60, 17, 128],
  [5, 0, 4, 3],
  [0, 5, 4, 3],
] as const;

/** The operation and its gradient, the latter from the reference's result. */
function checkBoth(operands: readonly Node[], causal: boolean, what: string): void {
  const attrs = { scale: 0.3, causal };
  const [q, , v] = operands;
  const result = attention(operands, attrs);
  checkOperation(result, what);
  const saved = leaf(q.dtype, result.shape, evaluate(result));
  const ct = random(q.dtype, [...q.shape.slice(0, -1), v.shape[v.shape.length - 1]], 9);
  checkOperation(attentionGrad(operands, saved, ct, attrs), `gradient of ${what}`);
}

/** [batch.., t, width] whose memory is [batch.., width, t]. */
function turned(dtype: DType, shape: readonly number[], seed: number): Node {
  const last = shape.length - 1;
  const perm = shape.map((_, i) => (i < last - 1 ? i : i === last ? last - 1 : last));
  return permute(
    random(
      dtype,
      perm.map((i) => shape[i]),
      seed,
    ),
    perm,
  );
}

for (const dtype of ["f32", "f64"] as const) {
  test(`${dtype}: sizes, causal and masked`, () => {
    for (const [tq, tk, d, dv] of sizes)
      for (const causal of [false, true])
        for (const mask of ["none", "bool", dtype] as const) {
          const operands = [
            [tq, d],
            [tk, d],
            [tk, dv],
          ].map((shape, i) => random(dtype, [2, ...shape], i + 1));
          if (mask !== "none") operands.push(random(mask, [2, tq, tk], 4));
          checkBoth(operands, causal, `attention ${dtype} ${tq} ${tk} ${d} ${dv} causal ${causal} mask ${mask}`);
        }
  });

  test(`${dtype}: layouts`, () => {
    const [tq, tk, d, dv] = [70, 80, 24, 16];
    const operands = [
      [tq, d],
      [tk, d],
      [tk, dv],
    ].map((shape, i) => turned(dtype, [3, 4, ...shape], i + 1));
    checkBoth(operands, true, `attention ${dtype} columns`);
    // Heads beside the width, as a projection leaves them, and one mask for all heads.
    const heads = [
      [tq, d],
      [tk, d],
      [tk, dv],
    ].map(([t, width], i) => permute(random(dtype, [2, t, 3, width], i + 1), [0, 2, 1, 3]));
    const mask = broadcast(random("bool", [2, 1, 1, tk], 5), [2, 3, tq, tk]);
    checkBoth([...heads, mask], false, `attention ${dtype} heads`);
  });

  test(`${dtype}: large scores, and queries that see nothing`, () => {
    // The logarithm of a sum has few digits behind the point where scores are in the thousands.
    const factor = dtype === "f32" ? 15 : 60;
    const far = [
      [50, 8],
      [70, 8],
      [70, 8],
    ].map((shape, i) =>
      leaf(
        dtype,
        [1, ...shape],
        evaluate(random(dtype, shape, i + 1)).map((x) => factor * x),
      ),
    );
    checkBoth(far, false, `attention ${dtype} large`);
    const nobody = leaf(
      "bool",
      [1, 50, 70],
      new Array(50 * 70).fill(0).map((_, i) => Number(i >= 70 * 20 && i % 3 === 0)),
    );
    checkBoth([...far, nobody], false, `attention ${dtype} hidden`);
  });
}
