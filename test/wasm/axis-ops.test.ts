/** Cumulative sums, sorts and scattered additions of the wasm backend against the reference. */
import { test } from "node:test";
import type { DType } from "../../src/core/dtype.ts";
import { sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { broadcast } from "../../src/primitives/broadcast.ts";
import { argsort, scatterAdd } from "../../src/primitives/indexing.ts";
import { slice } from "../../src/primitives/movement.ts";
import { cumsum } from "../../src/primitives/reduce.ts";
import { uniform } from "../support/check-grads.ts";
import { leaf } from "../support/evaluate.ts";
import { checkOperation, random } from "./check-operation.ts";

const numbers = ["f32", "f64", "i32", "u32", "u8"] as const;
const shapes = [[1], [7], [200], [3, 5], [4, 1, 9], [2, 6, 70], [2, 0, 3], [0, 4]] as const;

for (const dtype of numbers)
  test(`cumsum ${dtype}`, () => {
    for (const shape of shapes)
      for (const axis of shape.keys())
        for (const reverse of [false, true])
          for (const exclusive of [false, true])
            checkOperation(
              cumsum(random(dtype, shape, 1), { axis, reverse, exclusive }),
              `cumsum ${dtype} [${shape}] ${axis} ${reverse} ${exclusive}`,
            );
  });

/** Many equal values, and those with an order of their own where the dtype has them. */
function sortable(dtype: DType, shape: readonly number[]): Node {
  const special = [Number.NaN, 0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -1e-40];
  const floats = dtype === "f32" || dtype === "f64";
  const values = uniform(sizeOf(shape), 3).map((v, i) =>
    floats && i % 3 === 0 ? special[(i / 3) % 7] : Math.round(v * 9),
  );
  if (dtype === "u32" || dtype === "u8") return leaf(dtype, shape, values.map(Math.abs));
  return leaf(dtype, shape, dtype === "bool" ? values.map((v) => Number(v > 0)) : values);
}

for (const dtype of [...numbers, "bool"] as const)
  test(`argsort ${dtype}`, () => {
    for (const shape of [...shapes, [2, 100, 3]])
      for (const axis of shape.keys())
        for (const descending of [false, true])
          for (const limit of new Set([shape[axis], Math.min(2, shape[axis])]))
            checkOperation(
              argsort(sortable(dtype, shape), { axis, descending, limit }),
              `argsort ${dtype} [${shape}] ${axis} ${descending} ${limit}`,
            );
  });

/** Indices from below -length to above length. */
const indices = (shape: readonly number[], length: number): Node =>
  leaf(
    "i32",
    shape,
    uniform(sizeOf(shape), 5).map((v) => Math.round(v * (length + 2))),
  );

for (const dtype of numbers)
  test(`scatterAdd ${dtype}`, () => {
    for (const shape of shapes)
      for (const axis of shape.keys())
        for (const length of [1, 6])
          checkOperation(
            scatterAdd(indices(shape, length), random(dtype, shape, 1), { axis, length }),
            `scatterAdd ${dtype} [${shape}] ${axis} ${length}`,
          );
    // One index for a whole row, as of an embedding, cut into several items.
    const rows = broadcast(indices([300, 1], 40), [300, 260]);
    checkOperation(scatterAdd(rows, random(dtype, [300, 260], 2), { axis: 0, length: 40 }), `scatterAdd ${dtype} rows`);
    const every = slice(indices([9, 8], 5), { starts: [1, 0], sizes: [4, 4], steps: [2, 2] });
    checkOperation(scatterAdd(every, random(dtype, [4, 4], 2), { axis: 1, length: 5 }), `scatterAdd ${dtype} strides`);
    const long = scatterAdd(indices([40000], 30), random(dtype, [40000], 2), { axis: 0, length: 30 });
    checkOperation(long, `scatterAdd ${dtype} long`);
  });
