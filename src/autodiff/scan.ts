import { computeDType, isFloat } from "../core/dtype.ts";
import { sizeOf } from "../core/shape.ts";
import { type Node, reachable } from "../graph/node.ts";
import { substitute } from "../graph/rewrite.ts";
import { pick, type ScanAttrs, type ScanBody, scan } from "../primitives/control.ts";
import { add, cast } from "../primitives/elementwise.ts";
import { constant, input } from "../primitives/leaf.ts";
import { regionOf } from "./checkpoint.ts";
import { memoryFactor, StepSums } from "./scan-sums.ts";

type Backward = (
  outputs: readonly Node[],
  cotangents: readonly (Node | null)[],
  wrt: readonly Node[],
) => (Node | null)[];

/**
 * Cotangents of a scan's inputs from those of its outputs: a scan in the other direction whose body is the vjp of the
 * body. It carries the cotangents of the carries, and reads the carries that each forward step received, which the
 * forward scan stacks for it. Cotangents of constants are sums over the steps: products and sums are taken from stacked
 * values after the loop, what is left is carried as a running sum.
 */
export function scanVjp(node: Node, cts: readonly (Node | null)[], backward: Backward): (Node | null)[] {
  const { body, length, carries, sequences, reverse } = node.attrs as ScanAttrs;
  const stackedOuts = body.outputs.length - carries;
  const live = (n: Node) => isFloat(n.dtype);
  const zeros = (n: Node) => constant(0, n.shape, n.dtype);
  const placeholder = (n: Node) => input(n);

  const carryIn = body.inputs.slice(0, carries);
  const xs = body.inputs.slice(carries, carries + sequences);
  const consts = body.inputs.slice(carries + sequences);
  const floatCarries = carryIn.flatMap((n, i) => (live(n) ? [i] : []));
  const floatConsts = consts.flatMap((n, i) => (live(n) ? [i] : []));

  // Cotangents per step: of the stacked outputs, and of the stacked carries when a second-order gradient read them.
  const yCts = Array.from({ length: stackedOuts }, (_, i) => cts[carries + i]);
  const savedCts = carryIn.map((_, i) => cts[carries + stackedOuts + i]);
  const sequenceCts = [...yCts, ...savedCts].flatMap((ct) => (ct ? [ct] : []));

  // Body of the reverse scan. A fresh copy of the forward body is built on placeholders.
  const ctCarry = floatCarries.map((i) => placeholder(carryIn[i]));
  const saved = carryIn.map(placeholder);
  const slices = xs.map(placeholder);
  const fixed = consts.map(placeholder);
  const stepCts = sequenceCts.map((ct) => input({ shape: ct.shape.slice(1), dtype: ct.dtype }));

  let next = 0;
  const yStep = yCts.map((ct) => (ct ? stepCts[next++] : null));
  const savedStep = savedCts.map((ct) => (ct ? stepCts[next++] : null));
  const products = productsOf(body, carries + sequences);
  const copies = substitute(
    [...body.outputs, ...products],
    new Map([...saved, ...slices, ...fixed].map((n, i) => [body.inputs[i], n])),
  );
  const fresh = copies.slice(0, body.outputs.length);
  const carryOutCts = carryIn.map((_, i) => {
    const at = floatCarries.indexOf(i);
    return at < 0 ? null : ctCarry[at];
  });
  const wrt = [...saved, ...slices, ...fixed];
  const raw = backward(fresh, [...carryOutCts, ...yStep], wrt);

  // Products of the forward loop are stacked there rather than computed again.
  const stored = new Map(products.map((n, i) => [copies[body.outputs.length + i], placeholder(n)]));
  const flowing = raw.flatMap((g) => g ?? []);
  const rewritten = substitute(flowing, stored);
  let at = 0;
  const grads = raw.map((g) => (g ? rewritten[at++] : null));
  const used = new Set(reachable(rewritten));
  const kept = [...stored.values()].flatMap((n, i) => (used.has(n) ? [{ slice: n, product: products[i] }] : []));
  const forward = withStacks(
    node,
    kept.map(({ product }) => product),
  );
  const savedStacks = carryIn.map((_, i) => pick(forward, body.outputs.length + kept.length + i));
  const productStacks = kept.map((_, i) => pick(forward, body.outputs.length + i));

  const orZero = (g: Node | null, n: Node) => g ?? zeros(n);
  const newCtCarry = floatCarries.map((i) => {
    const g = orZero(grads[i], carryIn[i]);
    const extra = savedStep[i];
    return extra ? add(g, extra) : g;
  });
  const floatXs = xs.flatMap((n, i) => (live(n) ? [i] : []));
  const xGrads = floatXs.map((i) => orZero(grads[carries + i], xs[i]));
  const given = [...saved, ...slices, ...kept.map(({ slice }) => slice), ...stepCts];
  const whole = [...savedStacks, ...node.inputs.slice(carries, carries + sequences), ...productStacks, ...sequenceCts];

  const received = new Map(given.map((n, i) => [n, whole[i]]));
  const sums = new StepSums(received, xGrads, fixed, length);
  const constGrads = floatConsts.map((i) => {
    const g = grads[carries + sequences + i];
    return g ? sums.split(g) : null;
  });
  const carried = constGrads.flatMap((g) => (g?.carried ? [g.carried] : []));
  // Sums over all steps of 16-bit floats are f32 until they are complete.
  const running = carried.map(({ shape, dtype }) => input({ shape, dtype: computeDType(dtype) }));

  const initial = [...floatCarries.map((i) => cts[i] ?? zeros(carryIn[i])), ...running.map(zeros)];
  const stacked = [...xGrads, ...sums.stacked.filter((n) => !xGrads.includes(n))];
  const back = scan([...initial, ...whole, ...node.inputs.slice(carries + sequences)], {
    body: {
      inputs: [...ctCarry, ...running, ...given, ...fixed],
      outputs: [...newCtCarry, ...carried.map((g, i) => add(running[i], cast(g, running[i].dtype))), ...stacked],
    },
    length,
    carries: initial.length,
    sequences: whole.length,
    reverse: !reverse,
  });
  const stackOf = sums.stacks((at) => pick(back, initial.length + stacked.indexOf(sums.stacked[at])));

  const result: (Node | null)[] = node.inputs.map(() => null);
  floatCarries.forEach((i, at) => {
    result[i] = pick(back, at);
  });
  floatXs.forEach((i, at) => {
    result[carries + i] = pick(back, initial.length + at);
  });
  let nextSum = floatCarries.length;
  floatConsts.forEach((i, at) => {
    const sum = constGrads[at];
    if (!sum) return;
    const [inLoop, after] = [sum.carried && pick(back, nextSum++), sum.after?.(stackOf)];
    const total = inLoop && after ? add(inLoop, cast(after, inLoop.dtype)) : (inLoop ?? after ?? null);
    result[carries + sequences + i] = total && cast(total, consts[i].dtype);
  });
  return result;
}

/** The node's scan with further values of its body stacked after those it stacks. `simplify` makes the two one again. */
function withStacks(node: Node, values: readonly Node[]): Node {
  if (values.length === 0) return node;
  const attrs = node.attrs as ScanAttrs;
  const body = { inputs: attrs.body.inputs, outputs: [...attrs.body.outputs, ...values] };
  return scan(node.inputs, { ...attrs, body });
}

const contractions = new Set(["dot", "conv", "convInputGrad", "convWeightGrad"]);

/**
 * Contractions of a body that are worth their memory: together at most a few times what the gradient needs in any case,
 * and not in a region that asks to be computed again.
 */
function productsOf({ inputs, outputs }: ScanBody, given: number): Node[] {
  const products = reachable(outputs).filter((n) => contractions.has(n.prim.name) && !regionOf(n));
  const size = (nodes: readonly Node[]) => nodes.reduce((sum, n) => sum + sizeOf(n.shape), 0);
  return size(products) <= memoryFactor * size(inputs.slice(0, given)) ? products : [];
}
