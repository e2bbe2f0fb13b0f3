import { isFloat, isHalf } from "../core/dtype.ts";
import { sizeOf } from "../core/shape.ts";
import { type Graph, makeNode, type Node, reachable } from "../graph/node.ts";
import { plain } from "../graph/rewrite.ts";
import { reshape, type ShapeAttrs, sum } from "../primitives/broadcast.ts";
import { dot } from "../primitives/contract.ts";
import { cast } from "../primitives/elementwise.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import { type ConstantAttrs, constant } from "../primitives/leaf.ts";
import { concat, type PadAttrs, type PermuteAttrs, permute, type SliceAttrs, slice } from "../primitives/movement.ts";
import { joinScans } from "./join-scans.ts";

type Rule = (node: Node) => Node | null;

const views = new Set<string>(["reshape", "permute", "broadcast", "slice"] satisfies PrimitiveName[]);
/** x as f32, with views outside of the cast, where instructions read through them. */
const widened = (x: Node): Node =>
  views.has(x.prim.name) ? makeNode(x.prim, [widened(x.inputs[0])], x.attrs) : cast(x, "f32");

const products = new Set<string>(["dot", "conv", "convInputGrad", "convWeightGrad"] satisfies PrimitiveName[]);

/** Instructions compute 16-bit floats in f32 and round once. Products of bf16 lose nothing at medium precision. */
const inFloat32: Rule = (node) => {
  if (!node.inputs.some((x) => isHalf(x.dtype))) return null;
  const exact = products.has(node.prim.name) && node.inputs.every((x) => x.dtype === "bf16");
  const attrs = exact ? { ...node.attrs, precision: "medium" } : node.attrs;
  const wide = node.inputs.map((x) => (isHalf(x.dtype) ? widened(x) : x));
  return cast(makeNode(node.prim, wide, attrs), node.dtype);
};

const constantOf = (x: Node): number | null => (x.prim.name === "constant" ? (x.attrs as ConstantAttrs).value : null);

const rename = (x: Node): Node | null => {
  const value = constantOf(x.inputs[0]);
  return value === null ? null : constant(value, x.shape, x.dtype);
};

/** Below this many results a large reduction is done in two stages, so that it can be shared among threads. */
const fewResults = 8;
const largeReduction = 1 << 15;
/** Likewise for sums down a tall matrix of few columns. */
const fewColumns = 256;
const tallColumn = 1024;

/** A fixed split, so that the order of additions does not depend on the number of threads. */
const twoStages: Rule = ({ inputs: [x], attrs, shape }) => {
  const { axes } = attrs as { axes: readonly number[] };
  const count = axes.reduce((n, a) => n * x.shape[a], 1);
  // Sums down narrow columns are shared among threads by columns, of which there are few.
  const columns = !axes.includes(x.shape.length - 1) && sizeOf(shape) < fewColumns;
  const narrow = columns && sizeOf(x.shape) >= 4 * largeReduction && count >= tallColumn;
  if (!narrow && (sizeOf(shape) >= fewResults || count < largeReduction)) return null;
  if (isHalf(x.dtype)) return cast(sum(cast(x, "f32"), axes), x.dtype);
  if (axes.length === 1) {
    const [axis] = axes;
    const n = x.shape[axis];
    const parts = [64, 48, 32, 30, 25, 16, 10, 9, 8, 7, 6, 5, 4, 3, 2].find((k) => n % k === 0);
    if (!parts) return null;
    const split = reshape(x, [...x.shape.slice(0, axis), parts, n / parts, ...x.shape.slice(axis + 1)]);
    return sum(sum(split, [axis + 1]), [axis]);
  }
  const first = axes.find((a) => x.shape[a] >= fewResults) ?? axes[0];
  const inner = sum(
    x,
    axes.filter((a) => a !== first),
  );
  return sum(inner, [first - axes.filter((a) => a < first).length]);
};

/** (a b)^T is b^T a^T, whose operands are read through strides for nothing, while its result is dense. */
function transposedProduct({ inputs: [a, b], attrs }: Node, perm: readonly number[]): Node | null {
  const swap = perm.map((_, i) => i);
  swap.push(swap.splice(-2, 1)[0]);
  return perm.every((p, i) => p === swap[i]) ? dot(permute(b, swap), permute(a, swap), attrs) : null;
}

/** A slice that takes nothing of what was padded on is one of what was padded. */
function partOfPadded({ inputs: [x], attrs, shape }: Node): Node | null {
  if (x.prim.name !== "pad") return null;
  const { lo, interior } = x.attrs as PadAttrs;
  const { starts, steps } = attrs as SliceAttrs;
  const [inner] = x.inputs;
  const first = starts.map((s, i) => s - lo[i]);
  const inside = shape.every(
    (d, i) => interior[i] === 0 && first[i] >= 0 && first[i] + (d - 1) * steps[i] < inner.shape[i],
  );
  return inside ? slice(inner, { starts: first, sizes: shape, steps }) : null;
}

/** What a sum of padded parts is, where the parts lie side by side along one axis and cover it: their concatenation. */
function sideBySide(node: Node): Node | null {
  const terms = (x: Node): Node[] => (x.prim.name === "add" ? x.inputs.flatMap(terms) : [x]);
  const parts = terms(node);
  if (parts.some((p) => p.prim.name !== "pad")) return null;
  const padding = (p: Node) => p.attrs as PadAttrs;
  const axis = node.shape.findIndex((d, i) => parts[0].inputs[0].shape[i] !== d);
  const alongAxis = (p: Node) =>
    padding(p).value === 0 &&
    p.shape.every((d, i) => (i === axis ? padding(p).interior[i] === 0 : p.inputs[0].shape[i] === d));
  if (axis < 0 || !parts.every(alongAxis)) return null;
  const sorted = [...parts].sort((a, b) => padding(a).lo[axis] - padding(b).lo[axis]);
  let end = 0;
  for (const p of sorted) {
    if (padding(p).lo[axis] !== end) return null;
    end += p.inputs[0].shape[axis];
  }
  return end === node.shape[axis]
    ? concat(
        sorted.map((p) => p.inputs[0]),
        axis,
      )
    : null;
}

const rules: Partial<Record<PrimitiveName, Rule>> = {
  add: (node) => {
    const [x, y] = node.inputs;
    return constantOf(y) === 0 ? x : constantOf(x) === 0 ? y : sideBySide(node);
  },
  sub: ({ inputs: [x, y] }) => (constantOf(y) === 0 ? x : null),
  mul: ({ inputs: [x, y] }) => (constantOf(y) === 1 ? x : constantOf(x) === 1 ? y : null),
  div: ({ inputs: [x, y] }) => (constantOf(y) === 1 ? x : null),
  neg: ({ inputs: [x] }) => (x.prim.name === "neg" ? x.inputs[0] : null),
  stopGradient: ({ inputs: [x] }) => x,
  // What was widened from 16 bits goes back unchanged.
  cast: ({ inputs: [x], dtype }) => {
    if (x.prim.name !== "cast" || !isHalf(dtype) || x.inputs[0].dtype !== dtype) return null;
    return x.dtype === "f32" || x.dtype === "f64" ? x.inputs[0] : null;
  },
  dot: inFloat32,
  conv: inFloat32,
  convInputGrad: inFloat32,
  convWeightGrad: inFloat32,
  cumsum: inFloat32,
  scatterAdd: inFloat32,
  argsort: inFloat32,
  reshape: (node) => {
    const [x] = node.inputs;
    const { shape } = node.attrs as ShapeAttrs;
    return x.prim.name === "reshape" ? reshape(x.inputs[0], shape) : rename(node);
  },
  permute: (node) => {
    const [x] = node.inputs;
    if (x.prim.name === "dot") return transposedProduct(x, (node.attrs as PermuteAttrs).perm);
    if (x.prim.name !== "permute") return rename(node);
    const inner = (x.attrs as PermuteAttrs).perm;
    return permute(
      x.inputs[0],
      (node.attrs as PermuteAttrs).perm.map((p) => inner[p]),
    );
  },
  broadcast: rename,
  slice: (node) => partOfPadded(node) ?? rename(node),
  flip: rename,
  unfold: rename,
  sum: (node) => {
    const value = constantOf(node.inputs[0]);
    if (value !== null && isFloat(node.dtype))
      return constant(value * (sizeOf(node.inputs[0].shape) / Math.max(1, sizeOf(node.shape))), node.shape, node.dtype);
    return twoStages(node);
  },
};

/**
 * An equivalent graph: equal nodes are one, identities vanish, movement of movement is one movement, large reductions
 * to few results have two stages. Node order follows the order of the original.
 */
export function simplify(graph: Graph): Graph {
  const map = new Map<Node, Node>();
  const known = new Map<string, Node>();
  const attrKeys = new WeakMap<object, string>();
  const keyOf = (node: Node): string | null => {
    if (node.prim.name === "data" || node.prim.name === "input" || node.prim.name === "scan") return null;
    let attrs = attrKeys.get(node.attrs);
    if (attrs === undefined) {
      attrs = JSON.stringify(node.attrs, plain);
      attrKeys.set(node.attrs, attrs);
    }
    return `${node.prim.name}(${node.inputs.map((x) => x.id).join(",")})${attrs}`;
  };
  const intern = (node: Node): Node => {
    const key = keyOf(node);
    if (key === null) return node;
    const old = known.get(key);
    if (old) return old;
    known.set(key, node);
    return node;
  };
  const visit = (node: Node): Node => {
    const rule = rules[node.prim.name as PrimitiveName];
    const better = rule?.(node);
    if (!better || better === node) return intern(node);
    // A rule may have built a small tree of new nodes.
    return settle(better);
  };
  const settle = (node: Node): Node => {
    const done = map.get(node);
    if (done) return done;
    if (node.inputs.length === 0) return intern(node);
    const inputs = node.inputs.map(settle);
    const same = inputs.every((x, i) => x === node.inputs[i]);
    const result = visit(same ? node : makeNode(node.prim, inputs, node.attrs));
    map.set(node, result);
    map.set(result, result);
    return result;
  };
  const outputs = joinScans(graph.outputs);
  for (const node of reachable(outputs)) settle(node);
  return { ...graph, outputs: outputs.map((node) => map.get(node) ?? settle(node)) };
}
