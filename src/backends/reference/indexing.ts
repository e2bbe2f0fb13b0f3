import { sizeOf } from "../../core/shape.ts";
import { accumulator, around, empty, type Kernels, rounded } from "./kernel.ts";
import { words } from "./walk.ts";

export const indexing = {
  gather({ node, inputs: [values, index], specs: [{ shape }], attrs: { axis } }) {
    const { outer, length, inner } = around(shape, axis);
    const count = node.shape[axis];
    const result = empty(node);
    const [out, x] = [words(result), words(values)];
    let at = 0;
    for (let o = 0; o < outer; o++)
      for (let k = 0; k < count; k++)
        for (let i = 0; i < inner; i++, at++) {
          const wrapped = index[at] < 0 ? index[at] + length : index[at];
          const row = Math.min(Math.max(wrapped, 0), length - 1);
          out[at] = x[(o * length + row) * inner + i];
        }
    return result;
  },

  scatterAdd({ node, inputs: [index, update], specs: [{ shape }], attrs: { axis, length } }) {
    const { outer, length: count, inner } = around(shape, axis);
    const sums = accumulator(node.dtype, sizeOf(node.shape));
    let at = 0;
    for (let o = 0; o < outer; o++)
      for (let k = 0; k < count; k++)
        for (let i = 0; i < inner; i++, at++) {
          const row = index[at] < 0 ? index[at] + length : index[at];
          if (row >= 0 && row < length) sums[(o * length + row) * inner + i] += update[at];
        }
    return rounded(node, sums);
  },

  argsort({ node, inputs: [x], specs: [{ shape }], attrs: { axis, descending, limit } }) {
    const { outer, length, inner } = around(shape, axis);
    const out = empty(node);
    const lane = new Float64Array(length);
    const order = new Int32Array(length);
    const rising = (i: number, j: number) => compare(lane[i], lane[j]) || i - j;
    const falling = (i: number, j: number) => compare(lane[j], lane[i]) || i - j;
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        for (let k = 0; k < length; k++) {
          lane[k] = x[(o * length + k) * inner + i];
          order[k] = k;
        }
        order.sort(descending ? falling : rising);
        for (let k = 0; k < limit; k++) out[(o * limit + k) * inner + i] = order[k];
      }
    return out;
  },
} satisfies Kernels<"gather" | "scatterAdd" | "argsort">;

/** NaN is the largest and equal to itself. */
function compare(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}
