import { type Node, reachable } from "../graph/node.ts";
import { substitute } from "../graph/rewrite.ts";
import { type PickAttrs, pick, type ScanAttrs, scan } from "../primitives/control.ts";

/**
 * One loop in place of several over the same body and inputs that stack different values of it: a gradient asks for a
 * scan like the one it differentiates, with more values stacked.
 */
export function joinScans(outputs: readonly Node[]): readonly Node[] {
  const all = reachable(outputs);
  const groups = new Map<string, Node[]>();
  for (const node of all) {
    if (node.prim.name !== "scan") continue;
    const { body, length, carries, reverse } = node.attrs as ScanAttrs;
    const next = body.outputs.slice(0, carries);
    const ids = [node.inputs, body.inputs, next].map((list) => list.map((n) => n.id).join(","));
    const key = [...ids, length, carries, reverse].join("|");
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  const joined = new Map([...groups.values()].filter((g) => g.length > 1).flatMap((g) => joinGroup(g)));
  if (joined.size === 0) return outputs;

  const replace = new Map<Node, Node>();
  for (const node of all) {
    const target = node.prim.name === "pick" ? joined.get(node.inputs[0]) : undefined;
    if (target) replace.set(node, pick(target.scan, target.at((node.attrs as PickAttrs).index)));
  }
  return substitute(outputs, replace);
}

/** The scan that stands for one of a group, and where it has an output. */
interface Joined {
  readonly scan: Node;
  at(index: number): number;
}

function joinGroup(group: readonly Node[]): [Node, Joined][] {
  const [first] = group;
  const attrs = first.attrs as ScanAttrs;
  const { carries } = attrs;
  const stackedBy = (node: Node) => (node.attrs as ScanAttrs).body.outputs.slice(carries);
  const stacked = [...new Set(group.flatMap(stackedBy))];
  const outputs = [...attrs.body.outputs.slice(0, carries), ...stacked];
  const whole = scan(first.inputs, { ...attrs, body: { inputs: attrs.body.inputs, outputs } });
  return group.map((node) => {
    const own = stackedBy(node);
    const at = (index: number): number => {
      if (index < carries) return index;
      const n = index - carries;
      return n < own.length ? carries + stacked.indexOf(own[n]) : outputs.length + n - own.length;
    };
    return [node, { scan: whole, at }];
  });
}
