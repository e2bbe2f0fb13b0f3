import { customVjp } from "./grad.ts";
import { type Tensor, tensor } from "./tensor.ts";

/** A sparse linear map along an axis: output o is the sum of weight[o][k] times the input at index[o][k]. */
export interface Taps {
  readonly index: readonly (readonly number[])[];
  readonly weight: readonly (readonly number[])[];
}

/** The adjoint, from outputs back to `length` inputs. */
function transpose({ index, weight }: Taps, length: number): Taps {
  const back = Array.from({ length }, () => ({ index: [] as number[], weight: [] as number[] }));
  index.forEach((list, o) => {
    list.forEach((i, k) => {
      back[i].index.push(o);
      back[i].weight.push(weight[o][k]);
    });
  });
  return { index: back.map((b) => b.index), weight: back.map((b) => b.weight) };
}

/**
 * `taps` applied along `axis`, for interpolation, padding and uneven windows. The gradient is the transposed map, so it
 * gathers too and needs no scatter.
 */
export function resample(x: Tensor, axis: number, taps: Taps): Tensor {
  return customVjp(
    (x: Tensor) => gatherTaps(x, axis, taps),
    ({ ct, inputs: [x] }) => [resample(ct, axis, transpose(taps, x.shape[axis]))],
  )(x);
}

function gatherTaps(x: Tensor, axis: number, { index, weight }: Taps): Tensor {
  const count = Math.max(1, ...index.map((list) => list.length));
  // Short lists are filled with a place of their own and weight 0.
  const fill = (list: readonly number[], value: number) =>
    Array.from({ length: count }, (_, k) => (k < list.length ? list[k] : value));
  const at = index.map((list) => fill(list, list[0] ?? 0));
  if (count === 1 && weight.every(([w]) => w === 1)) return x.take(tensor(at.flat(), { dtype: "i32" }), axis);
  const factors = tensor(
    weight.flatMap((list) => fill(list, 0)),
    {
      shape: [index.length, count, ...x.shape.slice(axis + 1).map(() => 1)],
      dtype: x.dtype,
    },
  );
  return x
    .take(tensor(at, { dtype: "i32" }), axis)
    .mul(factors)
    .sum(axis + 1);
}
