import type { Node } from "../../graph/node.ts";
import { ManabiError } from "../../index.ts";
import type { PrimitiveName } from "../../primitives/index.ts";
import { attentionBehind, contractions, isAttentionOutput } from "./contract.ts";
import { elementwise } from "./elementwise.ts";
import { lowerFused } from "./fused.ts";
import { leaf } from "./leaf.ts";
import { movement } from "./movement.ts";
import { reductions } from "./reduce.ts";
import { type Emitter, type Lowering, whole } from "./site.ts";

const identity: Lowering = ({ input }) => input(0);

/** How each primitive is written; text says why one cannot be. */
const lowerings = {
  ...leaf,
  ...elementwise,
  ...movement,
  ...reductions,
  ...contractions,
  stopGradient: identity,
  barrier: identity,
  fold: "it stands in gradients",
  convWeightGrad: "it stands in gradients",
  attentionGrad: "it stands in gradients",
  scan: "loops over time are not exported yet",
  pick: "loops over time are not exported yet",
  randomBits: "random numbers differ from run to run",
} satisfies Record<PrimitiveName, Lowering<never> | string>;

/** Throws with all primitives among `nodes`, of which some are `outputs`, that cannot be written. */
export function checkLowerable(nodes: readonly Node[], outputs: readonly Node[]): void {
  const reasons = new Map<string, string>();
  for (const { prim } of nodes) {
    const rule = lowerings[prim.name as PrimitiveName];
    if (typeof rule === "string") reasons.set(prim.name, rule);
  }
  const readers = nodes.filter((node) => node.prim.name !== "stopGradient" && !isAttentionOutput(node));
  if ([...outputs, ...readers.flatMap(({ inputs }) => inputs)].some(attentionBehind))
    reasons.set("attention", "its sums of exponentials are read, as gradients do");
  if (reasons.size)
    throw new ManabiError(
      `exportOnnx: the model has primitives that cannot be exported: ` +
        [...reasons].map(([name, why]) => `${name} (${why})`).join(", "),
    );
}

/** Writes a node whose inputs have been written. */
export function lower(node: Node, emitter: Emitter): void {
  if (isAttentionOutput(node)) {
    emitter.set(node, whole(emitter.get(node.inputs[0]).name, node));
    return;
  }
  const fused = lowerFused(node, emitter);
  if (fused) {
    emitter.set(node, fused);
    return;
  }
  const rule = lowerings[node.prim.name as PrimitiveName] as Lowering;
  const { writer } = emitter;
  const input = (i: number) => emitter.get(node.inputs[i]);
  emitter.set(node, rule({ node, attrs: node.attrs, writer, emitter, input }));
}
