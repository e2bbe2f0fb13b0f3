import { arrayType, type DType, storedValue } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import { isOnHost } from "../core/value.ts";
import { type DataAttrs, makeNode, type Node, type Primitive, type Spec } from "../graph/node.ts";

export interface ConstantAttrs extends Spec {
  readonly value: number;
}

export const constantPrim: Primitive<ConstantAttrs> = {
  name: "constant",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
};

export interface IotaAttrs extends Spec {
  readonly axis: number;
}

export const iotaPrim: Primitive<IotaAttrs> = {
  name: "iota",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
};

export const dataPrim: Primitive<DataAttrs & Spec> = {
  name: "data",
  infer(_, { shape, dtype, data }) {
    if (data.length !== sizeOf(shape))
      throw new ShapeError(`tensor: ${data.length} values do not fill shape ${showShape(shape)} (${sizeOf(shape)})`);
    if (isOnHost(data) ? !(data instanceof arrayType(dtype)) : data.dtype !== dtype)
      throw new ShapeError(
        `tensor: ${dtype} is stored in a ${arrayType(dtype).name}, got ${isOnHost(data) ? `a ${data.constructor.name}` : data.dtype}; convert the values`,
      );
    return { shape, dtype };
  },
};

export const inputPrim: Primitive<Spec> = {
  name: "input",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
};

/** `value`, rounded to `dtype`, everywhere; holds no memory. */
export const constant = (value: number, shape: Shape, dtype: DType): Node =>
  makeNode(constantPrim, [], { value: storedValue(value, dtype), shape, dtype });

/** The index along `axis`, at every position of `shape`. */
export const iota = (shape: Shape, axis: number, dtype: DType = "i32"): Node =>
  makeNode(iotaPrim, [], { shape, axis, dtype });

/** Values as a leaf; they are held, not copied. */
export const data = (attrs: DataAttrs & Spec): Node => makeNode(dataPrim, [], attrs);

/** A placeholder of a trace. */
export const input = ({ shape, dtype }: Spec): Node => makeNode(inputPrim, [], { shape, dtype });

export const constantLike = (x: Spec, value: number): Node => constant(value, x.shape, x.dtype);
