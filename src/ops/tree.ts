import { ManabiError } from "../core/errors.ts";
import { Tensor } from "./tensor.ts";

/** Tensors in arrays and records, nested. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/** The tensors of a tree, depth first, record keys in their order. */
export function leaves(tree: Tree): Tensor[] {
  if (tree instanceof Tensor) return [tree];
  if (tree === null || typeof tree !== "object")
    throw new ManabiError(`expected tensors in arrays or records, got ${tree === null ? "null" : typeof tree}`);
  return Object.values(tree).flatMap(leaves);
}

/** A tree of the same form with other tensors. */
export function rebuild<T extends Tree>(tree: T, tensors: readonly Tensor[]): T {
  let next = 0;
  const go = (t: Tree): Tree => {
    if (t instanceof Tensor) return tensors[next++];
    if (Array.isArray(t)) return t.map(go);
    return Object.fromEntries(Object.entries(t).map(([k, v]) => [k, go(v)]));
  };
  return go(tree) as T;
}
