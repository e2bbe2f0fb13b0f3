import { ShapeError, showShape } from "../core/errors.ts";
import { normalizeAxis } from "../core/shape.ts";
import { concatenate, type Tensor } from "./tensor.ts";

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concatenate(
    tensors.map((t) => t.unsqueeze(axis)),
    axis,
  );
}

/** x cut along `axis` into pieces of the given sizes, or into pieces of one size of which the last may be smaller. */
export function split(x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] {
  const at = normalizeAxis("split", axis, x.rank);
  const length = x.shape[at];
  if (typeof sizes === "number" && (!Number.isInteger(sizes) || sizes < 1))
    throw new ShapeError(`split: the size of a piece must be an integer >= 1, got ${sizes}`);
  const list =
    typeof sizes === "number"
      ? Array.from({ length: Math.ceil(length / sizes) }, (_, i) => Math.min(sizes, length - i * sizes))
      : sizes;
  let end = 0;
  if (list.some((n) => !Number.isInteger(n) || n < 0) || list.reduce((a, b) => a + b, 0) !== length)
    throw new ShapeError(`split: sizes [${sizes}] must add up to ${length}, axis ${axis} of ${showShape(x.shape)}`);
  return list.map((n) => {
    end += n;
    return x.slice(at, end - n, end);
  });
}

/** x cut along `axis` into at most `count` pieces of equal size, of which the last may be smaller. */
export function chunk(x: Tensor, count: number, axis = 0): Tensor[] {
  const at = normalizeAxis("chunk", axis, x.rank);
  if (!Number.isInteger(count) || count < 1) throw new ShapeError(`chunk: count must be an integer >= 1, got ${count}`);
  return split(x, Math.max(1, Math.ceil(x.shape[at] / count)), at);
}

/** Every element `count` times in a row along `axis`, as NumPy's repeat; `tile` repeats the whole. */
export function repeat(x: Tensor, count: number, axis: number): Tensor {
  const at = normalizeAxis("repeat", axis, x.rank);
  if (!Number.isInteger(count) || count < 0)
    throw new ShapeError(`repeat: count must be an integer >= 0, got ${count}`);
  const { shape } = x;
  const spread = x.unsqueeze(at + 1).broadcastTo([...shape.slice(0, at + 1), count, ...shape.slice(at + 1)]);
  return spread.reshape(shape.map((d, i) => (i === at ? d * count : d)));
}

/** x moved by `shift` positions along `axis`; what leaves at one end enters at the other. */
export function roll(x: Tensor, shift: number, axis: number): Tensor {
  const at = normalizeAxis("roll", axis, x.rank);
  const length = x.shape[at];
  const by = length ? ((shift % length) + length) % length : 0;
  if (!Number.isInteger(by)) throw new ShapeError(`roll: shift must be an integer, got ${shift}`);
  return by ? concatenate([x.slice(at, length - by), x.slice(at, 0, length - by)], at) : x;
}
