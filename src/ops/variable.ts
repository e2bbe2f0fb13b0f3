import type { TypedArray } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sameShape } from "../core/shape.ts";
import type { Node, Spec } from "../graph/node.ts";
import { activeTrace, type Cell, readCell, writeCell } from "../graph/variable.ts";
import { data } from "../primitives/leaf.ts";
import { operand, Tensor, type TensorLike, tensor } from "./tensor.ts";

/**
 * A tensor that can be given a new value: a parameter, an optimizer's state, running statistics, a random counter.
 * `assign` inside of a jitted function is part of the compiled program and writes in place.
 */
export class Variable extends Tensor {
  readonly cell: Cell;

  /** `initial` gives shape, dtype and first value. */
  constructor(initial: Tensor) {
    super(null);
    this.cell = { node: initial.node, shared: true };
  }

  override get node(): Node {
    return readCell(this.cell);
  }
  override get shape(): Shape {
    return this.cell.node.shape;
  }
  override get dtype(): Tensor["dtype"] {
    return this.cell.node.dtype;
  }

  /** Replaces the value; shape and dtype stay. */
  assign(value: TensorLike): void {
    const next = operand(value, this).cast(this.dtype);
    const full = next.rank === 0 && this.rank > 0 ? next.broadcastTo(this.shape) : next;
    if (!sameShape(full.shape, this.shape))
      throw new ShapeError(`assign: the variable is ${showShape(this.shape)}, the value ${showShape(full.shape)}`);
    writeCell(this.cell, full.node);
  }

  /** The present value as an ordinary tensor, which later assignments do not change. */
  get value(): Tensor {
    return new Tensor(this.node);
  }
}

/** A variable that starts with these values. */
export const variable = (initial: Tensor | TypedArray | number, shape?: Shape): Variable =>
  new Variable(
    initial instanceof Tensor ? initial : typeof initial === "number" ? tensor(initial) : tensor(initial, { shape }),
  );

/**
 * Values that the host works out anew for every run of a jitted step, such as a scheduled learning rate: they are an
 * input of the program, not a constant in it. Outside of `jit`, what `read` returns now.
 */
export function hostValues(spec: Spec, read: () => TypedArray): Tensor {
  const trace = activeTrace();
  return new Tensor(trace ? trace.feed(spec, read) : data({ ...spec, data: read() }));
}
