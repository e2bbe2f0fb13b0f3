import { isHalf } from "../core/dtype.ts";
import { sizeOf } from "../core/shape.ts";
import type { Node } from "../graph/node.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import type { SliceAttrs } from "../primitives/movement.ts";
import { lowerings } from "./lower.ts";

/** Rough cost of one element, in units of a multiplication. */
const dear: Partial<Record<PrimitiveName, number>> = {
  exp: 8,
  expm1: 10,
  log: 10,
  log1p: 12,
  sin: 10,
  cos: 10,
  atan: 10,
  tanh: 12,
  erf: 12,
  pow: 20,
  div: 3,
  mod: 4,
  sqrt: 4,
  randomBits: 25,
  gather: 2,
};

const moving = new Set([
  "reshape",
  "permute",
  "broadcast",
  "slice",
  "flip",
  "unfold",
  "stopGradient",
  "barrier",
  "pad",
]);
const reducing = new Set(["sum", "prod", "max", "min", "argmax", "argmin", "fold"]);
/** Operations whose element depends on the same element of their inputs alone, up to renaming of positions. */
const pointwise = (node: Node): boolean =>
  !reducing.has(node.prim.name) &&
  lowerings[node.prim.name as PrimitiveName].kind === "at" &&
  !["broadcast", "unfold", "gather", "pad", "randomBits", "slice", "flip"].includes(node.prim.name);

export const isLeaf = (node: Node): boolean => lowerings[node.prim.name as PrimitiveName].kind === "leaf";
export const isOp = (node: Node): boolean => lowerings[node.prim.name as PrimitiveName].kind === "op";

export const costOf = (node: Node): number => {
  const { name } = node.prim;
  // A few integer operations: sooner done again than a reason for a pass over memory.
  if (name === "cast" && [node, node.inputs[0]].some(({ dtype }) => isHalf(dtype))) return 0.25;
  if (name === "constant" || name === "iota" || moving.has(name)) return 0;
  return dear[name as PrimitiveName] ?? 1;
};

/** Inlining an expression dearer than this into several kernels costs more than a pass over memory. */
const dearTwice = 4;
const kernelLimit = 80;

/**
 * Chooses the nodes that get a buffer; all others are computed inside the kernels that use them.
 * `forced` must have one: outputs, and inputs of instructions.
 */
export function chooseBuffers(nodes: readonly Node[], forced: ReadonlySet<Node>): Set<Node> {
  const realized = new Set<Node>();
  const users = new Map<Node, Node[]>();
  for (const node of nodes) {
    if (forced.has(node) || isOp(node)) realized.add(node);
    // What a barrier waits for is not read by it.
    const inputs = node.prim.name === "barrier" ? [node.inputs[0]] : node.inputs;
    for (const x of new Set(inputs)) {
      const list = users.get(x);
      if (list) list.push(node);
      else users.set(x, [node]);
    }
  }

  // Upper bounds: as if nothing but forced nodes had a buffer.
  const cost = new Map<Node, number>();
  const loads = new Map<Node, number>();
  const reduces = new Set<Node>();
  for (const node of nodes) {
    if (isLeaf(node) || isOp(node)) continue;
    let [c, l] = [costOf(node), 0];
    for (const x of new Set(node.prim.name === "barrier" ? [node.inputs[0]] : node.inputs)) {
      // A reduction that is not read at its own positions will have a buffer.
      if (isLeaf(x) || realized.has(x) || (reduces.has(x) && !pointwise(node))) l++;
      else {
        c += cost.get(x) ?? 0;
        l += loads.get(x) ?? 0;
        if (reduces.has(x)) reduces.add(node);
      }
    }
    if (reducing.has(node.prim.name)) reduces.add(node);
    // An expression that has grown too large gets a buffer, which makes it one load to its users.
    if (c + l > kernelLimit && !realized.has(node)) realized.add(node);
    cost.set(node, c);
    loads.set(node, l);
  }

  /** Kernels that a node without a buffer is computed in. */
  const kernels = new Map<Node, Set<Node>>();
  const pointPath = new Set<Node>();
  for (let n = nodes.length - 1; n >= 0; n--) {
    const node = nodes[n];
    if (isLeaf(node)) continue;
    const mine = users.get(node) ?? [];
    const roots = new Set<Node>();
    for (const u of mine) {
      if (realized.has(u)) roots.add(u);
      else for (const r of kernels.get(u) ?? []) roots.add(r);
    }
    kernels.set(node, roots);
    const straight = mine.length > 0 && mine.every((u) => pointwise(u) && (realized.has(u) || pointPath.has(u)));
    if (straight) pointPath.add(node);
    if (realized.has(node)) continue;
    const c = cost.get(node) ?? 0;
    const l = loads.get(node) ?? 0;
    const own = costOf(node);
    const store = reduces.has(node)
      ? // What holds a reduction is computed once: only in one kernel, at its own positions, may it go without a buffer.
        own + (reducing.has(node.prim.name) ? 1 : 0) > 0 && (roots.size > 1 || !straight)
      : own > 0 && ((roots.size > 1 && c + 2 * (l - 1) >= dearTwice && !apart(mine)) || repeated(node, mine, c));
    // Overlapping windows over padding would test the bounds once per window; a padded copy costs one pass.
    const paddedWindows = node.prim.name === "pad" && mine.some((u) => u.prim.name === "unfold");
    if (store || paddedWindows) realized.add(node);
  }
  return realized;
}

/** Whether the users are slices that do not overlap: then none repeats what another computes. */
function apart(users: readonly Node[]): boolean {
  if (users.some((u) => u.prim.name !== "slice")) return false;
  const ranges = users.map((u) => {
    const { starts, sizes, steps } = u.attrs as SliceAttrs;
    return starts.map((start, i) => [start, start + (sizes[i] - 1) * steps[i]] as const);
  });
  return ranges.every((a, i) =>
    ranges.every((b, j) => j >= i || a.some(([lo, hi], axis) => hi < b[axis][0] || b[axis][1] < lo)),
  );
}

/** Whether a dear expression would be computed over and over by a user that repeats its elements. */
function repeated(node: Node, users: readonly Node[], cost: number): boolean {
  return users.some((u) => {
    if (u.prim.name === "broadcast") return cost >= 2 && sizeOf(u.shape) >= 4 * sizeOf(node.shape);
    if (u.prim.name === "unfold") return cost >= 2 && sizeOf(u.shape) > 2 * sizeOf(node.shape);
    return u.prim.name === "gather" && u.inputs[0] === node && cost >= 1;
  });
}
