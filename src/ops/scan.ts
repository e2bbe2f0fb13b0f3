import { ShapeError, showShape } from "../core/errors.ts";
import { currentId, type Node, reachable } from "../graph/node.ts";
import { substitute } from "../graph/rewrite.ts";
import { pick, scan as scanNode } from "../primitives/control.ts";
import { input } from "../primitives/leaf.ts";
import { Tensor } from "./tensor.ts";
import { leaves, rebuild, type Tree } from "./tree.ts";

/**
 * A loop over the leading axis of `xs`: `step(carry, x)` returns the next carry and what is stacked. One step is
 * compiled, whatever the length, and the loop has a gradient of any order. Returns the last carry and the stack.
 */
export function scan<C extends Tree, X extends Tree, Y extends Tree>(
  step: (carry: C, x: X) => readonly [C, Y],
  init: C,
  xs: X,
  options: { readonly reverse?: boolean } = {},
): [carry: C, ys: Y] {
  const carries = leaves(init);
  const sequences = leaves(xs);
  const length = sequences[0]?.shape[0];
  if (length === undefined || sequences.some((x) => x.shape[0] !== length))
    throw new ShapeError(
      `scan: sequences must share their leading axis, got ${sequences.map((x) => showShape(x.shape)).join(", ") || "none"}`,
    );

  const start = currentId();
  const carryIn = carries.map((t) => input(t));
  const slices = sequences.map((t) => input({ shape: t.shape.slice(1), dtype: t.dtype }));
  const own = new Set([...carryIn, ...slices]);
  const tensors = (nodes: readonly Node[]) => nodes.map((n) => new Tensor(n));
  const [carryOut, stack] = step(rebuild(init, tensors(carryIn)), rebuild(xs, tensors(slices)));
  const nextCarries = leaves(carryOut);
  const ys = leaves(stack);
  if (nextCarries.length !== carries.length)
    throw new ShapeError(`scan: the step takes ${carries.length} carries and returns ${nextCarries.length}`);
  const outputs = [...nextCarries, ...ys].map((t) => t.node);

  const { captured, body } = closeOver(outputs, own, start);
  const node = scanNode([...carries.map((t) => t.node), ...sequences.map((t) => t.node), ...captured.map(([n]) => n)], {
    body: { inputs: [...carryIn, ...slices, ...captured.map(([, p]) => p)], outputs: body },
    length,
    carries: carries.length,
    sequences: sequences.length,
    reverse: options.reverse ?? false,
  });
  const picks = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => new Tensor(pick(node, from + i)));
  return [rebuild(carryOut, picks(0, carries.length)), rebuild(stack, picks(carries.length, ys.length))];
}

const views = new Set(["broadcast", "reshape", "permute"]);

/** What the body uses but does not depend on the step is computed once, outside of the loop. */
function closeOver(outputs: readonly Node[], own: ReadonlySet<Node>, start: number) {
  const varies = new Set<Node>(own);
  const all = reachable(outputs, (n) => n.id > start || own.has(n) || outputs.includes(n));
  for (const n of all) if (n.inputs.some((x) => varies.has(x))) varies.add(n);
  const placeholders = new Map<Node, Node>();
  const capture = (n: Node) => {
    if (varies.has(n) || placeholders.has(n)) return;
    // Of a view, such as a bias repeated over the batch, what it views is captured.
    if (views.has(n.prim.name)) capture(n.inputs[0]);
    else if (n.prim.name !== "constant" && n.prim.name !== "iota") placeholders.set(n, input(n));
  };
  for (const n of all) if (varies.has(n)) n.inputs.forEach(capture);
  outputs.forEach(capture);
  return { captured: [...placeholders], body: substitute(outputs, placeholders) };
}
