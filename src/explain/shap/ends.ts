import { makeNode, type Node, reachable } from "../../graph/node.ts";
import { attentionWeights } from "../../ops/attention.ts";
import { Tensor } from "../../ops/tensor.ts";
import { type AttentionAttrs, attentionPrim, attentionSizes } from "../../primitives/attention.ts";
import { stopGradient, stopGradientPrim } from "../../primitives/control.ts";
import { maximum, sub } from "../../primitives/elementwise.ts";

/** For each node that changes between two inputs the node of the other end. */
export type Twins = ReadonlyMap<Node, Node>;
/** The node at the other end: itself where it does not change. */
export const twinOf = (node: Node, twins: Twins): Node => twins.get(node) ?? node;
export const changeOf = (node: Node, twins: Twins): Node => sub(node, twinOf(node, twins));

/** The graph of `output` in operations that rules are known of, and its nodes at the other end, where `reference` stands
 *  in for `input`. What `stopGradient` hides is held at one value at both ends. */
export function bothEnds(graph: Node, input: Node, reference: Node): { readonly end: Node; readonly twins: Twins } {
  const output = withoutFusedAttention(graph);
  const own = new Map<Node, Node>();
  const twins = new Map([[input, reference]]);
  for (const node of reachable([output])) {
    const inputs = node.inputs.map((x) => own.get(x) as Node);
    const others = inputs.map((x) => twinOf(x, twins));
    const again = (from: readonly Node[]) =>
      from.every((x, i) => x === node.inputs[i]) ? node : makeNode(node.prim, from, node.attrs);
    const changes = inputs.some((x, i) => x !== others[i]);
    const kept = changes && node.prim === stopGradientPrim ? held(inputs[0], others[0]) : again(inputs);
    own.set(node, kept);
    if (changes && node.prim !== stopGradientPrim) twins.set(kept, again(others));
  }
  return { end: own.get(output) as Node, twins };
}

/** The larger of both: exponentials shifted by it do not overflow. */
const held = (x: Node, other: Node): Node => stopGradient(maximum(x, other));

/** The graph with fused attention taken apart into the operations of its formula. */
function withoutFusedAttention(output: Node): Node {
  const made = new Map<Node, Node>();
  for (const node of reachable([output])) {
    const inputs = node.inputs.map((x) => made.get(x) as Node);
    const same = inputs.every((x, i) => x === node.inputs[i]);
    const isFused = node.prim.name === attentionPrim.name;
    const again = () => (same ? node : makeNode(node.prim, inputs, node.attrs));
    made.set(node, isFused ? attentionFormula(inputs, node.attrs as AttentionAttrs) : again());
  }
  return made.get(output) as Node;
}

/** What the primitive `attention` computes, but for the logarithms at its end, which only its gradient reads. */
function attentionFormula(operands: readonly Node[], { scale, causal }: AttentionAttrs): Node {
  const [q, k, v, mask = null] = operands.map((x) => new Tensor(x));
  const { rows } = attentionSizes("attention", operands);
  const weights = attentionWeights(q, k, { mask, isCausal: causal, scale });
  return weights
    .matmul(v)
    .reshape([-1])
    .pad([[0, rows]]).node;
}
