import {
  arange,
  concat,
  ManabiError,
  oneHot,
  pad,
  type Shape,
  type Tensor,
  tensor,
  tril,
  triu,
  where,
  zeros,
} from "../../index.ts";
import { type Call, need, numbers, numbersAt, type Operator } from "../operator.ts";
import { fromTensorProto } from "../tensor-proto.ts";

const axisFrom = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const sizes = (values: readonly number[]): Tensor => tensor(Int32Array.from(values));

function reshape(call: Call): Tensor {
  const x = need(call, 0);
  const keepZero = call.attrs.int("allowzero", 0) === 1;
  const shape = numbersAt(call, 1, "shape") ?? [];
  return x.reshape(shape.map((d, i) => (d === 0 && !keepZero ? x.shape[i] : d)));
}

function flatten(call: Call): Tensor {
  const x = need(call, 0);
  const axis = axisFrom(call.attrs.int("axis", 1), x.rank);
  const product = (shape: Shape) => shape.reduce((a, b) => a * b, 1);
  return x.reshape([product(x.shape.slice(0, axis)), product(x.shape.slice(axis))]);
}

function unsqueeze(call: Call): Tensor {
  const x = need(call, 0);
  const given = numbersAt(call, 1, "axes") ?? [];
  const rank = x.rank + given.length;
  return given
    .map((axis) => axisFrom(axis, rank))
    .sort((a, b) => a - b)
    .reduce((y, axis) => y.unsqueeze(axis), x);
}

function slice(call: Call): Tensor {
  let x = need(call, 0);
  const starts = numbersAt(call, 1, "starts") ?? [];
  const ends = numbersAt(call, 2, "ends") ?? [];
  const axes = numbersAt(call, 3, "axes") ?? starts.map((_, i) => i);
  const steps = call.inputs[4] ? numbers(call, call.inputs[4]) : starts.map(() => 1);
  starts.forEach((start, i) => {
    const axis = axisFrom(axes[i], x.rank);
    if (steps[i] > 0) {
      x = x.slice(axis, start, ends[i], steps[i]);
      return;
    }
    // Backwards from start down to end, which is left out: forwards through the mirrored axis.
    const n = x.shape[axis];
    const from = Math.min(n - 1, start < 0 ? start + n : start);
    const to = Math.max(-1, ends[i] < 0 ? ends[i] + n : ends[i]);
    x = x.flip(axis).slice(axis, n - 1 - from, Math.max(n - 1 - from, n - 1 - to), -steps[i]);
  });
  return x;
}

function split(call: Call): readonly Tensor[] {
  const x = need(call, 0);
  const axis = axisFrom(call.attrs.int("axis", 0), x.rank);
  const each = Math.ceil(x.shape[axis] / call.outputs.length);
  const parts = numbersAt(call, 1, "split") ?? call.outputs.map(() => each);
  let start = 0;
  return parts.map((length) => x.slice(axis, start, (start += length)));
}

const padModes = { constant: "constant", reflect: "reflect", edge: "replicate", wrap: "circular" } as const;

function padding(call: Call): Tensor {
  const x = need(call, 0);
  const mode = call.attrs.text("mode", "constant");
  call.attrs.only("mode", mode, Object.keys(padModes));
  const given = numbersAt(call, 1, "pads") ?? [];
  const axes = (call.inputs[3] ? numbers(call, call.inputs[3]) : x.shape.map((_, i) => i)).map((axis) =>
    axisFrom(axis, x.rank),
  );
  const amounts = x.shape.map((_, axis): [number, number] => {
    const at = axes.indexOf(axis);
    return at < 0 ? [0, 0] : [given[at], given[at + axes.length]];
  });
  const value = call.inputs[2] ? numbers(call, call.inputs[2])[0] : call.attrs.float("value", 0);
  return pad(x, amounts, { mode: padModes[mode as keyof typeof padModes], value });
}

function shape(call: Call): Tensor {
  const { shape, rank } = need(call, 0);
  const bound = (at: number) => Math.min(rank, Math.max(0, axisFrom(at, rank)));
  return sizes(shape.slice(bound(call.attrs.int("start", 0)), bound(call.attrs.int("end", rank))));
}

function constant({ what, attrs }: Call): Tensor {
  const value = attrs.tensor("value");
  if (value) {
    const { shape, dtype, data } = fromTensorProto(what, value);
    return tensor(data, { shape, dtype });
  }
  if (attrs.has("value_float")) return tensor(attrs.float("value_float", 0));
  if (attrs.has("value_int")) return sizes([attrs.int("value_int", 0)]).reshape([]);
  const [ints, floats] = [attrs.ints("value_ints"), attrs.floats("value_floats")];
  if (ints) return sizes(ints);
  if (floats) return tensor(Float32Array.from(floats));
  throw new ManabiError(`${what}: a constant that is no tensor and no number is not supported`);
}

function expand(call: Call): Tensor {
  const x = need(call, 0);
  const wanted = numbers(call, need(call, 1));
  const rank = Math.max(x.rank, wanted.length);
  const at = (list: readonly number[], i: number) => list[i - rank + list.length] ?? 1;
  return x.broadcastTo(Array.from({ length: rank }, (_, i) => Math.max(at(x.shape, i), at(wanted, i))));
}

function range(call: Call): Tensor {
  const first = need(call, 0);
  const [start, stop, step] = [0, 1, 2].map((i) => numbers(call, need(call, i))[0]);
  return arange(start, stop, step, { dtype: first.dtype });
}

function hot(call: Call): Tensor {
  const [depth] = numbers(call, need(call, 1));
  const values = need(call, 2);
  const indices = need(call, 0).cast("i32");
  const rank = indices.rank + 1;
  const axis = axisFrom(call.attrs.int("axis", -1), rank);
  const last = oneHot(where(indices.lt(0), indices.add(depth), indices), depth, { dtype: "bool" });
  const order = Array.from({ length: rank - 1 }, (_, i) => i);
  order.splice(axis, 0, rank - 1);
  return where(last.permute(order), values.slice(0, 1, 2).reshape([]), values.slice(0, 0, 1).reshape([]));
}

/** Blocks of pixels to channels or back; x [n, c, h, w]. */
function depthToSpace(call: Call): Tensor {
  const x = need(call, 0);
  const b = call.attrs.int("blocksize", 1);
  const [n, c, h, w] = x.shape;
  const columnsFirst = call.attrs.text("mode", "DCR") === "DCR";
  const parts = columnsFirst
    ? x.reshape([n, b, b, c / b ** 2, h, w]).permute([0, 3, 4, 1, 5, 2])
    : x.reshape([n, c / b ** 2, b, b, h, w]).permute([0, 1, 4, 2, 5, 3]);
  return parts.reshape([n, c / b ** 2, h * b, w * b]);
}

function spaceToDepth(call: Call): Tensor {
  const x = need(call, 0);
  const b = call.attrs.int("blocksize", 1);
  const [n, c, h, w] = x.shape;
  const parts = x.reshape([n, c, h / b, b, w / b, b]).permute([0, 3, 5, 1, 2, 4]);
  return parts.reshape([n, c * b ** 2, h / b, w / b]);
}

export const movement: Readonly<Record<string, Operator>> = {
  Concat: (call) =>
    concat(
      call.inputs.map((_, i) => need(call, i)),
      call.attrs.int("axis", 0),
    ),
  Constant: constant,
  ConstantOfShape(call) {
    const value = call.attrs.tensor("value");
    const of = value ? fromTensorProto(call.what, value) : null;
    const shape = numbers(call, need(call, 0));
    return of ? tensor(of.data, { shape: [], dtype: of.dtype }).broadcastTo(shape) : zeros(shape);
  },
  DepthToSpace: depthToSpace,
  Expand: expand,
  EyeLike(call) {
    const [rows, columns] = need(call, 0).shape;
    const k = call.attrs.int("k", 0);
    return arange(rows).unsqueeze(1).add(k).eq(arange(columns)).cast(need(call, 0).dtype);
  },
  Flatten: flatten,
  Gather: (call) => need(call, 0).take(need(call, 1), call.attrs.int("axis", 0)),
  OneHot: hot,
  Pad: padding,
  Range: range,
  Reshape: reshape,
  Shape: shape,
  Size: (call) => sizes([need(call, 0).size]).reshape([]),
  Slice: slice,
  SpaceToDepth: spaceToDepth,
  Split: split,
  Squeeze(call) {
    const axes = numbersAt(call, 1, "axes");
    return need(call, 0).squeeze(axes);
  },
  Tile: (call) => need(call, 0).tile(numbers(call, need(call, 1))),
  Transpose: (call) => need(call, 0).permute(call.attrs.ints("perm") ?? need(call, 0).shape.map((_, i) => -1 - i)),
  Trilu(call) {
    const k = call.inputs[1] ? numbers(call, call.inputs[1])[0] : 0;
    return (call.attrs.int("upper", 1) ? triu : tril)(need(call, 0), k);
  },
  Unsqueeze: unsqueeze,
};
