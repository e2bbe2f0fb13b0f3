import { makeNode, type Node, reachable } from "./node.ts";

/** `outputs` rebuilt with some leaves replaced. */
export function substitute(outputs: readonly Node[], replace: Map<Node, Node>): Node[] {
  const map = new Map(replace);
  for (const node of reachable(outputs)) {
    if (map.has(node)) continue;
    const changed = node.inputs.some((x) => map.get(x) !== x);
    map.set(
      node,
      changed && node.inputs.length
        ? makeNode(
            node.prim,
            node.inputs.map((x) => map.get(x) as Node),
            node.attrs,
          )
        : node,
    );
  }
  return outputs.map((node) => map.get(node) as Node);
}

/** For `JSON.stringify`: keeps apart the numbers that JSON has no text for. */
export const plain = (_: string, v: unknown): unknown =>
  typeof v === "number" && (!Number.isFinite(v) || Object.is(v, -0)) ? `#${Object.is(v, -0) ? "-0" : v}` : v;
