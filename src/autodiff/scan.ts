import { computeDType, isFloat } from "../core/dtype.ts";
import type { Node } from "../graph/node.ts";
import { substitute } from "../graph/rewrite.ts";
import { pick, type ScanAttrs, scan } from "../primitives/control.ts";
import { add, cast } from "../primitives/elementwise.ts";
import { constant, input } from "../primitives/leaf.ts";

type Backward = (
  outputs: readonly Node[],
  cotangents: readonly (Node | null)[],
  wrt: readonly Node[],
) => (Node | null)[];

/**
 * Cotangents of a scan's inputs from those of its outputs: a scan in the other direction whose body is the vjp of the
 * body. It carries the cotangents of the carries and the running sums for the constants, and reads the carries that
 * each forward step received, which the forward scan stacks for it.
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
  // Sums over all steps of 16-bit floats are f32 until they are complete.
  const constSums = floatConsts.map((i) => input({ shape: consts[i].shape, dtype: computeDType(consts[i].dtype) }));
  const saved = carryIn.map(placeholder);
  const slices = xs.map(placeholder);
  const fixed = consts.map(placeholder);
  const stepCts = sequenceCts.map((ct) => input({ shape: ct.shape.slice(1), dtype: ct.dtype }));

  let next = 0;
  const yStep = yCts.map((ct) => (ct ? stepCts[next++] : null));
  const savedStep = savedCts.map((ct) => (ct ? stepCts[next++] : null));
  const fresh = substitute(body.outputs, new Map([...saved, ...slices, ...fixed].map((n, i) => [body.inputs[i], n])));
  const carryOutCts = carryIn.map((_, i) => {
    const at = floatCarries.indexOf(i);
    return at < 0 ? null : ctCarry[at];
  });
  const wrt = [...saved, ...slices, ...fixed];
  const grads = backward(fresh, [...carryOutCts, ...yStep], wrt);
  const orZero = (g: Node | null, n: Node) => g ?? zeros(n);
  const newCtCarry = floatCarries.map((i) => {
    const g = orZero(grads[i], carryIn[i]);
    const extra = savedStep[i];
    return extra ? add(g, extra) : g;
  });
  const newConstSums = floatConsts.map((i, at) => {
    const g = grads[carries + sequences + i];
    return g ? add(constSums[at], cast(g, constSums[at].dtype)) : constSums[at];
  });
  const floatXs = xs.flatMap((n, i) => (live(n) ? [i] : []));
  const xGrads = floatXs.map((i) => orZero(grads[carries + i], xs[i]));

  const initial = [...floatCarries.map((i) => cts[i] ?? zeros(carryIn[i])), ...constSums.map(zeros)];
  const savedStacks = carryIn.map((_, i) => pick(node, carries + stackedOuts + i));
  const xStacks = node.inputs.slice(carries, carries + sequences);
  const back = scan(
    [...initial, ...savedStacks, ...xStacks, ...sequenceCts, ...node.inputs.slice(carries + sequences)],
    {
      body: {
        inputs: [...ctCarry, ...constSums, ...saved, ...slices, ...stepCts, ...fixed],
        outputs: [...newCtCarry, ...newConstSums, ...xGrads],
      },
      length,
      carries: initial.length,
      sequences: carries + sequences + sequenceCts.length,
      reverse: !reverse,
    },
  );

  const result: (Node | null)[] = node.inputs.map(() => null);
  floatCarries.forEach((i, at) => {
    result[i] = pick(back, at);
  });
  floatXs.forEach((i, at) => {
    result[carries + i] = pick(back, initial.length + at);
  });
  floatConsts.forEach((i, at) => {
    result[carries + sequences + i] = cast(pick(back, floatCarries.length + at), consts[i].dtype);
  });
  return result;
}
