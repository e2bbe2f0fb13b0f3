import { onesLike, type Tensor, where, zerosLike } from "../../index.ts";
import { type Call, need, type Operator } from "../operator.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** `update` put into x at the positions in `index` along `axis`, or added there; a position is named once. */
function scattered({ attrs }: Call, x: Tensor, axis: number, index: Tensor, update: Tensor): Tensor {
  const reduction = attrs.text("reduction", "none");
  attrs.only("reduction", reduction, ["none", "add"]);
  if (reduction === "add") return x.scatterAdd(axis, index, update);
  // Numbers are added to zeros; where none is, x stays.
  const numbers = (t: Tensor) => (t.dtype === "bool" ? t.cast("i32") : t);
  const zeros = zerosLike(numbers(x));
  const at = wrapped(index, x.shape[axis]);
  const hit = zeros.scatterAdd(axis, at, onesLike(numbers(update))).gt(0);
  return where(hit, zeros.scatterAdd(axis, at, numbers(update)).cast(x.dtype), x);
}

/** Negative positions count from the end of an axis of `size`. */
const wrapped = (index: Tensor, size: number): Tensor => where(index.lt(0), index.add(size), index);

/** x [a.., b..] as [product of a, product of b], and the positions in the first axis that `index` [m.., k] names. */
function rowsOf(x: Tensor, index: Tensor): { readonly rows: Tensor; readonly at: Tensor } {
  const depth = index.shape[index.rank - 1];
  const sizes = x.shape.slice(0, depth);
  const flat = index.reshape([-1, depth]);
  const at = sizes.reduce<Tensor | null>((sum, size, i) => {
    const one = wrapped(flat.select(1, i), size);
    return sum ? sum.mul(size).add(one) : one;
  }, null);
  return { rows: x.reshape([product(sizes), product(x.shape.slice(depth))]), at: at as Tensor };
}

function gatherND(call: Call): Tensor {
  call.attrs.only("batch_dims", call.attrs.int("batch_dims", 0), [0]);
  const [x, index] = [need(call, 0), need(call, 1)];
  const { rows, at } = rowsOf(x, index);
  return rows.take(at).reshape([...index.shape.slice(0, -1), ...x.shape.slice(index.shape[index.rank - 1])]);
}

function scatterND(call: Call): Tensor {
  const [x, index, update] = [0, 1, 2].map((i) => need(call, i));
  const { rows, at } = rowsOf(x, index);
  const shape = [at.size, rows.shape[1]];
  const positions = at.reshape([-1, 1]).broadcastTo(shape);
  return scattered(call, rows, 0, positions, update.reshape(shape)).reshape(x.shape);
}

export const indexing: Readonly<Record<string, Operator>> = {
  GatherElements: (call) => need(call, 0).gather(call.attrs.int("axis", 0), need(call, 1)),
  GatherND: gatherND,
  ScatterElements(call) {
    const [x, index, update] = [0, 1, 2].map((i) => need(call, i));
    const axis = call.attrs.int("axis", 0);
    return scattered(call, x, axis < 0 ? axis + x.rank : axis, index, update);
  },
  ScatterND: scatterND,
};
