import { isFloat } from "../core/dtype.ts";
import { makeNode, type Node, reachable } from "../graph/node.ts";
import { barrier, type PickAttrs, pickPrim, type ScanAttrs, scanOutputs, scanPrim } from "../primitives/control.ts";
import { add } from "../primitives/elementwise.ts";
import { type Region, regionOf } from "./checkpoint.ts";
import { scanVjp } from "./scan.ts";

/**
 * Cotangents of `wrt` given cotangents of `outputs`: one node per entry of `wrt`, null where nothing flows.
 * The graph is the tape: nodes are visited by falling id, and every rule builds ordinary nodes, so the result can be
 * differentiated again.
 */
export function backward(
  outputs: readonly Node[],
  cotangents: readonly (Node | null)[],
  wrt: readonly Node[],
): (Node | null)[] {
  const targets = new Set(wrt);
  const flows = new Set<Node>(); // nodes that depend on a target
  const order = reachable(outputs);
  for (const node of order)
    if (targets.has(node) || (carriesGradient(node) && node.inputs.some((x) => flows.has(x)))) flows.add(node);

  const cts = new Map<Node, Node>();
  const scanCts = new Map<Node, (Node | null)[]>();
  const accumulate = (node: Node, ct: Node | null) => {
    if (!ct || !flows.has(node)) return;
    const sum = cts.get(node);
    cts.set(node, sum ? add(sum, ct) : ct);
  };
  outputs.forEach((node, i) => {
    accumulate(node, cotangents[i]);
  });

  const recompute = new Recompute();
  for (const node of order.reverse()) {
    if (node.prim === scanPrim) {
      const picked = scanCts.get(node);
      if (!picked) continue;
      const values = recompute.of(node, picked.find((ct) => ct !== null) as Node);
      scanVjp(values, picked, backward).forEach((ct, i) => {
        accumulate(node.inputs[i], ct);
      });
      continue;
    }
    const ct = cts.get(node);
    if (!ct) continue;
    if (!targets.has(node)) cts.delete(node);
    if (node.prim === pickPrim) {
      const [from] = node.inputs;
      if (!flows.has(from)) continue;
      const slots = scanCts.get(from) ?? scanOutputs(from.attrs as ScanAttrs).map(() => null);
      const { index } = node.attrs as PickAttrs;
      slots[index] = slots[index] ? add(slots[index], ct) : ct;
      scanCts.set(from, slots);
      continue;
    }
    if (!node.prim.vjp || !node.inputs.some((x) => flows.has(x))) continue;
    const out = recompute.of(node, ct);
    node.prim.vjp({ ct, out, inputs: out.inputs, attrs: node.attrs }).forEach((inputCt, i) => {
      accumulate(node.inputs[i], inputCt);
    });
  }
  return wrt.map((node) => cts.get(node) ?? null);
}

const carriesGradient = (node: Node) =>
  isFloat(node.dtype) && (node.prim.vjp !== undefined || node.prim === pickPrim || node.prim === scanPrim);

/** Gives vjp rules recomputed copies of nodes inside a checkpointed region, the nodes themselves elsewhere. */
class Recompute {
  private readonly clones = new Map<Region, Map<Node, Node>>();

  of(node: Node, ct: Node): Node {
    const region = regionOf(node);
    if (!region) return node;
    let clones = this.clones.get(region);
    if (!clones) {
      clones = new Map();
      this.clones.set(region, clones);
    }
    return clone(node, region, clones, ct);
  }
}

function clone(node: Node, region: Region, clones: Map<Node, Node>, after: Node): Node {
  const inside = reachable([node], (n) => !clones.has(n) && (n === node || regionOf(n) === region));
  const copy = (n: Node): Node => {
    let c = clones.get(n);
    if (!c) {
      // A value from outside of the region: hung behind the cotangent, so that the region is computed late.
      c = n.inputs.length === 0 && n.prim.name !== "input" && n.prim.name !== "data" ? n : barrier(n, [after]);
      clones.set(n, c);
    }
    return c;
  };
  for (const n of inside)
    if (regionOf(n) === region && n.inputs.length) clones.set(n, makeNode(n.prim, n.inputs.map(copy), n.attrs));
  return copy(node);
}
