import { showShape } from "../core/errors.ts";
import { type Graph, type Node, reachable, type Spec } from "./node.ts";

/**
 * The graph as text, one node a line: `%7 f32[32,64] = dot %3 %5`. Inputs come first, then the nodes in the order they
 * are computed; numbers count from 0 in this text, whatever the ids are. The bodies of loops stand below their node.
 */
export const printGraph = (graph: Graph): string => lines(graph, graph.updates).join("\n");

interface Region {
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
}

function lines({ inputs, outputs }: Region, updates: Graph["updates"] = []): string[] {
  const fed = new Set(inputs);
  const nodes = [...fed, ...reachable(outputs, (node) => !fed.has(node))];
  const names = new Map(nodes.map((node, i) => [node, `%${i}`]));
  const text = nodes.flatMap((node) => {
    const name = fed.has(node) ? ["input"] : [node.prim.name, ...node.inputs.map((input) => names.get(input))];
    const attrs = fed.has(node) ? [] : Object.entries(node.attrs).flatMap(([key, value]) => showAttr(key, value));
    return [`${names.get(node)} ${showSpec(node)} = ${[...name, ...attrs].join(" ")}`, ...bodies(node)];
  });
  const results = outputs.map((node, i) => {
    const targets = updates.filter(({ output }) => output === i).map(({ input }) => ` -> ${names.get(inputs[input])}`);
    return `${names.get(node)}${targets.join("")}`;
  });
  return [...text, `return ${results.join(", ")}`];
}

const showSpec = ({ dtype, shape }: Spec): string => `${dtype}${showShape(shape)}`;

/** Values of leaves and gradient rules are left out, and what stands before the `=`. */
function showAttr(key: string, value: unknown): string[] {
  if (key === "shape" || key === "dtype" || key === "data" || key === "rule" || isRegion(value)) return [];
  return [`${key}=${showValue(value)}`];
}

const showValue = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(showValue).join(",")}]` : String(value);

const isRegion = (value: unknown): value is Region =>
  typeof value === "object" && value !== null && "inputs" in value && "outputs" in value;

const bodies = (node: Node): string[] =>
  Object.values(node.attrs)
    .filter(isRegion)
    .flatMap((body) => lines(body).map((line) => `  ${line}`));
