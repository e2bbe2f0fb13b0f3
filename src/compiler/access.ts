import type { Node } from "../graph/node.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import type { Expr } from "./expr.ts";
import { coefOf, flatten, type Idx, type LoopVar, ofVar, unflatten } from "./idx.ts";
import { newVar } from "./kernel.ts";
import { type LowerContext, lowerings } from "./lower.ts";

const views = new Set<string>(["reshape", "permute", "broadcast", "slice", "stopGradient", "barrier"]);
const renames = new Set<string>(["reshape", "stopGradient", "barrier"]);

/** `x`, what it is a view of, what that is a view of, and so on. */
export function viewChain(x: Node): Node[] {
  const chain = [x];
  while (views.has(chain[chain.length - 1].prim.name)) chain.push(chain[chain.length - 1].inputs[0]);
  return chain;
}

/** The value whose dense elements are those of `x`, in order. */
export function denseBase(x: Node): Node {
  while (renames.has(x.prim.name)) x = x.inputs[0];
  return x;
}

/** Elements before, along and after an axis. */
export function around(shape: readonly number[], axis: number): [outer: number, n: number, inner: number] {
  const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);
  return [product(shape.slice(0, axis)), shape[axis], product(shape.slice(axis + 1))];
}

export interface Access {
  /** Elements of the base per step of each loop. */
  readonly strides: number[];
  readonly offset: number;
}

/**
 * How the elements of `x` lie in the dense buffer of `base`, a value that `x` is a view of: strides for the loops that
 * `index` turns into a position of `x`; null where that is not linear.
 */
export function viewStrides(
  x: Node,
  base: Node,
  sizes: readonly number[],
  index: (loops: readonly Idx[]) => Idx[],
): Access | null {
  const loops: LoopVar[] = sizes.map(newVar);
  let flat: Idx | null = null;
  const nothing: Expr = { op: "const", value: 0, dtype: base.dtype };
  const context: LowerContext = {
    variable: newVar,
    at(node, at) {
      if (node === base) {
        flat = flatten(at, base.shape);
        return nothing;
      }
      const lowering = lowerings[node.prim.name as PrimitiveName];
      return lowering.kind === "at" && views.has(node.prim.name) ? lowering.at(context, node, at) : nothing;
    },
  };
  context.at(x, index(loops.map(ofVar)));
  const found = flat as Idx | null;
  if (!found) return null;
  const strides = loops.map((v) => coefOf(found, v));
  return strides.every((s) => s !== null) ? { strides, offset: found.offset } : null;
}

/** Loops outside of, along and inside an axis, as a position of `shape`. */
export function aroundIndex(shape: readonly number[], axis: number): (loops: readonly Idx[]) => Idx[] {
  return ([outer, i, inner]) => [
    ...unflatten(outer, shape.slice(0, axis)),
    i,
    ...unflatten(inner, shape.slice(axis + 1)),
  ];
}
