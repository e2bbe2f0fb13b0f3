import { ManabiError } from "../core/errors.ts";
import type { Value } from "../core/value.ts";
import { type DataAttrs, type Graph, type Node, reachable } from "../graph/node.ts";
import { plain, substitute } from "../graph/rewrite.ts";
import { activeTrace, takeAssigned } from "../graph/variable.ts";
import { dataPrim, input, inputPrim } from "../primitives/leaf.ts";
import type { Executable } from "./backend.ts";
import { backend } from "./select.ts";

/** Programs of evaluated graphs by their structure, so that a loop without `jit` compiles once. */
const programs = new Map<string, Executable>();
const mostPrograms = 512;

let recordings = 0;

/** While `fn` runs, evaluated nodes keep their definitions, because a gradient may still be taken through them. */
export function recording<T>(fn: () => T): T {
  recordings++;
  try {
    return fn();
  } finally {
    recordings--;
  }
}

/** Whether a gradient may still be taken through what is computed now. */
export const isRecording = (): boolean => recordings > 0;

/** Values of nodes that were evaluated while recording. */
const values = new WeakMap<Node, Value>();

const knownValue = (node: Node): Value | undefined =>
  node.prim === dataPrim ? (node.attrs as DataAttrs).data : values.get(node);

/** Computes nodes and returns their values, which belong to the nodes and must not be written. */
export function evaluate(nodes: readonly Node[]): Value[] {
  const missing = new Set(nodes.filter((n) => knownValue(n) === undefined));
  if (missing.size) compute([...missing, ...assignedNodes(missing)]);
  return nodes.map((n) => knownValue(n) as Value);
}

/** What has been assigned to variables and not been computed, as far as it can be. */
function assignedNodes(asked: ReadonlySet<Node>): Node[] {
  if (activeTrace() || recordings) return [];
  const nodes = new Set([...takeAssigned()].map((cell) => cell.node));
  return [...nodes].filter((n) => !asked.has(n) && knownValue(n) === undefined && computable(n));
}

const computable = (node: Node): boolean =>
  reachable([node], (n) => knownValue(n) === undefined).every((n) => n.prim !== inputPrim);

function compute(nodes: readonly Node[]): void {
  if (activeTrace())
    throw new ManabiError(
      "a tensor's value was asked for inside of a jitted function, where there are no values yet; " +
        "return the tensor and read it outside, or use where() in place of a branch",
    );
  const known = (n: Node) => knownValue(n) !== undefined;
  const order = reachable(nodes, (n) => !known(n));
  const place = new Map<Node, number>();
  const leaves: Node[] = [];
  const parts: string[] = [];
  const refer = (n: Node): string => {
    let at = place.get(n);
    if (at === undefined) {
      at = place.size;
      place.set(n, at);
      if (known(n)) {
        leaves.push(n);
        parts.push(`${at}=in ${n.dtype}[${n.shape}]`);
      }
    }
    return String(at);
  };
  for (const n of order) {
    if (n.prim === inputPrim)
      throw new ManabiError(
        `a ${n.dtype}[${n.shape}] tensor has no value: a parameter needs initialize(model, seed) or loadStateDict() first, ` +
          "and a tensor made inside of a jitted function must be returned from it",
      );
    const inputs = n.inputs.map(refer);
    parts.push(`${refer(n)}=${n.prim.name}(${inputs})${JSON.stringify(n.attrs, plain)}`);
  }
  const target = backend();
  const key = `${target.key}:${parts.join(";")}>${nodes.map(refer)}`;
  // A scan's body is compared by identity: its text is not part of the key.
  const cacheable = !order.some((n) => n.prim.name === "scan");
  let program = cacheable ? programs.get(key) : undefined;
  if (!program) {
    program = target.compile(closed(nodes, leaves));
    if (cacheable) {
      if (programs.size >= mostPrograms) programs.delete(programs.keys().next().value as string);
      programs.set(key, program);
    }
  }
  const results = program.run(leaves.map((n) => knownValue(n) as Value));
  nodes.forEach((n, i) => {
    if (recordings) values.set(n, results[i]);
    else become(n, results[i]);
  });
}

/** The graph with placeholders where values are known. */
function closed(nodes: readonly Node[], leaves: readonly Node[]): Graph {
  const inputs = leaves.map(({ shape, dtype }) => input({ shape, dtype }));
  return { inputs, outputs: substitute(nodes, new Map(leaves.map((n, i) => [n, inputs[i]]))), updates: [] };
}

/** Turns a node into a leaf that holds its value and lets go of what it was computed from. */
function become(node: Node, data: Value): void {
  node.prim = dataPrim;
  node.inputs = [];
  node.attrs = { data, shape: node.shape, dtype: node.dtype };
}
