import { backward } from "../../autodiff/vjp.ts";
import { isFloat } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { makeNode, type Node, reachable } from "../../graph/node.ts";
import { type AxesAttrs, insertAxes, sum } from "../../primitives/broadcast.ts";
import {
  abs,
  add,
  and,
  cast,
  div,
  eq,
  ge,
  gt,
  maximum,
  minimum,
  mul,
  ne,
  or,
  sub,
  where,
} from "../../primitives/elementwise.ts";
import { type PrimitiveName, primitives } from "../../primitives/index.ts";
import { constantLike } from "../../primitives/leaf.ts";
import { bothEnds, changeOf, type Twins, twinOf } from "./ends.ts";

/*
 * DeepLIFT's multipliers (Shrikumar et al. 2017) on the graph: for every value the ratio of change in the output to change
 * in the value, between the explained input and a reference, carried backwards by a rule per operation. Every rule is
 * complete: what goes into an operation accounts for all of the change that comes out of it.
 *
 * - Values that are an elementwise function of one other value, however many operations it takes (relu, sigmoid, gelu,
 *   x * sigmoid(x)), go by the rescale rule: change of the result over change of the argument, the slope where that is 0.
 * - Linear operations go by their gradient.
 * - Products of two values that both change (attention, gates) give each the Shapley value of a game of two: its change
 *   times the mean of the other; quotients, maxima and powers likewise.
 * - The maximum over an axis or window gives all to where the larger of both maxima is found.
 * - What `stopGradient` hides is a shift that the result does not depend on (softmax, moments): it is held at one value.
 */

const names = (...list: PrimitiveName[]): ReadonlySet<string> => new Set(list.map((name) => primitives[name].name));

/** Element i of the result is a function of element i of each argument. */
const elementwise = names(
  ...(["neg", "abs", "sign", "floor", "ceil", "round", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos"] as const),
  ...(["atan", "tanh", "erf", "not", "add", "sub", "mul", "div", "mod", "pow", "maximum", "minimum"] as const),
  ...(["eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "where", "cast"] as const),
);
const linear = names(
  ...(["add", "sub", "sum", "cumsum", "reshape", "permute", "broadcast", "slice", "pad", "flip", "concat"] as const),
  ...(["unfold", "fold", "barrier"] as const),
);
/** Linear in each of two arguments. */
const bilinear = names("mul", "dot", "conv", "convInputGrad", "convWeightGrad");
const ofTwo = names("div", "mod", "pow", "maximum", "minimum");
const extrema = names("max", "min");
/** Linear in one argument where the others, a condition or positions, do not change. */
const selecting = names("where", "gather", "scatterAdd");
/** Functions with a gradient of their own are what their first input is. */
const transparent = names("stopGradient");

/**
 * Cotangents of the multipliers at `input`: what `ct` at `output` becomes when it is carried back by DeepLIFT's rules,
 * with `reference` in the place of `input` as the other end. Null where the output does not depend on the input. Throws
 * for operations without a rule.
 */
export function multipliers(output: Node, ct: Node, input: Node, reference: Node): Node | null {
  const { end, twins } = bothEnds(output, input, reference);
  const order = reachable([end]);
  const changes = (node: Node) => twinOf(node, twins) !== node;
  const sources = sourcesOf(order, changes);
  const cts = new Map<Node, Node>([[end, ct]]);
  if (!changes(end)) return null;
  const give = (node: Node, ct: Node | null) => {
    if (!ct || !changes(node)) return;
    const before = cts.get(node);
    cts.set(node, before ? add(before, ct) : ct);
  };
  for (const node of order.toReversed()) {
    const own = cts.get(node);
    if (!own || node === input) continue;
    cts.delete(node);
    const source = sources.get(node) as Node;
    if (source !== node) give(source, mul(own, slopeOf(node, source, twins)));
    else for (const [i, part] of carryBack(node, own, twins).entries()) give(node.inputs[i], part);
  }
  return cts.get(input) ?? null;
}

/** For every changing node the one that it is an elementwise function of: itself unless its arguments share one. */
function sourcesOf(order: readonly Node[], changes: (node: Node) => boolean): ReadonlyMap<Node, Node> {
  const sources = new Map<Node, Node>();
  for (const node of order) {
    if (!changes(node)) continue;
    const passed = transparent.has(node.prim.name) ? node.inputs.slice(0, 1) : node.inputs;
    const from = new Set(passed.filter(changes).map((x) => sources.get(x) as Node));
    const [only] = from;
    const follows = elementwise.has(node.prim.name) || transparent.has(node.prim.name);
    sources.set(node, follows && from.size === 1 && isFloat(only.dtype) ? only : node);
  }
  return sources;
}

/** Magnitude of a value that changes: the larger of its ends. */
const sizeOf = (x: Node, twin: Node): Node => maximum(abs(x), abs(twin));

/**
 * The change of `y` (or the part of it in `change`) over that of `x`, and `otherwise`, a slope, where rounding would
 * decide it: where x changes by next to nothing of its size, or by a small step that does not show in y.
 */
function ratio(x: Node, y: Node, twins: Twins, otherwise: Node, change = changeOf(y, twins)): Node {
  const by = changeOf(x, twins);
  const [step, visible] = x.dtype === "f64" ? [1e-12, 1e-8] : [1e-6, 1e-4];
  const beyond = (value: Node, share: number, of: Node) => gt(abs(value), mul(constantLike(of, share), of));
  const one = constantLike(by, 1);
  const moves = beyond(by, step, sizeOf(x, twinOf(x, twins)));
  const shows = beyond(change, visible, sizeOf(y, twinOf(y, twins)));
  const sure = and(moves, or(beyond(by, step, one), shows));
  return where(sure, div(cast(change, x.dtype), where(sure, by, one)), otherwise);
}

/** The rescale rule: change of `node` over that of the value it is an elementwise function of. */
function slopeOf(node: Node, source: Node, twins: Twins): Node {
  const [gradient] = backward([node], [constantLike(node, 1)], [source]);
  return cast(ratio(source, node, twins, gradient ?? constantLike(source, 0)), node.dtype);
}

/** What each input of an operation gets; null for those that do not change. */
function carryBack(node: Node, ct: Node, twins: Twins): readonly (Node | null)[] {
  const { prim, inputs, attrs } = node;
  const changing = inputs.map((x) => twinOf(x, twins) !== x);
  const byGradient = (at: readonly Node[]) => prim.vjp?.({ ct, out: node, inputs: at, attrs }) ?? [];
  const { name } = prim;
  if (transparent.has(name)) return [ct];
  if (linear.has(name)) return byGradient(inputs);
  if (selecting.has(name) && inputs.every((x, i) => !changing[i] || isFloat(x.dtype))) return byGradient(inputs);
  if (bilinear.has(name)) return byGradient(inputs.map((x) => middle(x, twinOf(x, twins))));
  if (ofTwo.has(name)) return shareOfTwo(node, ct, twins);
  if (extrema.has(name)) return [extremumRule(node, ct, twins)];
  throw new ManabiError(
    `deepShap: there is no rule for the operation "${name}" ${selecting.has(name) ? "where what it selects by depends on the input" : "of what depends on the input"}; explain the model with gradientShap or kernelShap instead`,
  );
}

const middle = (x: Node, twin: Node): Node => (x === twin ? x : mul(add(x, twin), constantLike(x, 0.5)));

/** The Shapley values of two arguments that change from (a0, b0) to (a, b), over their changes. */
function shareOfTwo(node: Node, ct: Node, twins: Twins): readonly Node[] {
  const [a, b] = node.inputs;
  const [a0, b0] = node.inputs.map((x) => twinOf(x, twins));
  const at = (x: Node, y: Node) => makeNode(node.prim, [x, y], node.attrs);
  const half = (x: Node, y: Node) => mul(add(x, y), constantLike(x, 0.5));
  const before = twinOf(node, twins);
  const shares = [
    half(sub(node, at(a0, b)), sub(at(a, b0), before)),
    half(sub(node, at(a, b0)), sub(at(a0, b), before)),
  ];
  const slopes =
    node.prim.vjp?.({ ct: constantLike(node, 1), out: node, inputs: node.inputs, attrs: node.attrs }) ?? [];
  return node.inputs.map((x, i) => mul(ct, ratio(x, node, twins, slopes[i] ?? constantLike(x, 0), shares[i])));
}

/**
 * Of the larger of both maxima, the element that has it moves by at least as much as the maximum does, so all of the
 * change is given to it (to equal parts where several have it); minima are the same, turned over.
 */
function extremumRule(node: Node, ct: Node, twins: Twins): Node {
  const { inputs, attrs, prim } = node;
  const [x, x0] = [inputs[0], twinOf(inputs[0], twins)];
  const { axes } = attrs as AxesAttrs;
  const before = twinOf(node, twins);
  const spread = (perWindow: Node) => insertAxes(perWindow, axes, x.shape);
  const isMax = prim.name === primitives.max.name;
  const fromNew = isMax ? ge(node, before) : ge(before, node);
  const outer = isMax ? maximum(node, before) : minimum(node, before);
  const winners = spread(fromNew);
  const hit = eq(where(winners, x, x0), spread(outer));
  const share = cast(hit, x.dtype);
  const parts = div(share, spread(sum(share, axes)));
  // Padding is infinite at both ends and has no difference.
  const moves = and(hit, ne(x, x0));
  const taken = div(spread(sub(node, before)), where(moves, sub(x, x0), constantLike(x, 1)));
  return mul(mul(spread(ct), parts), where(moves, taken, constantLike(x, 1)));
}
