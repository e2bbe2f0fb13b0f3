import { arrayType, dtypes, isHalf, loadValues, storeValues, type TypedArray } from "../../core/dtype.ts";
import { ManabiError, showShape } from "../../core/errors.ts";
import { sizeOf } from "../../core/shape.ts";
import { hostInputs } from "../../core/value.ts";
import { type DataAttrs, type Node, reachable } from "../../graph/node.ts";
import { printGraph } from "../../graph/print.ts";
import { dataPrim } from "../../primitives/leaf.ts";
import type { Backend } from "../backend.ts";
import { makeProgram } from "./program.ts";

/**
 * Plain loops over the nodes, f64 arithmetic rounded to each node's dtype, to 16 bits by way of f32: the oracle of the
 * other backends, and what runs where there is no compiler.
 */
export const reference: Backend<TypedArray> = {
  name: "reference",
  memory: "host",
  key: "reference",
  dtypes: new Set(dtypes),
  compile(graph) {
    const program = makeProgram(graph);
    const leaves = reachable(graph.outputs).filter((node) => node.prim === dataPrim);
    const held = hostInputs(
      "reference",
      leaves.map((node) => (node.attrs as DataAttrs).data),
    );
    return {
      run(given) {
        const inputs = hostInputs("reference", given);
        checkInputs(graph.inputs, inputs);
        const taken = new Set([...inputs, ...held]);
        const values = inputs.map((array, i) => loadValues(array, graph.inputs[i].dtype));
        const results = program(values).map((value, i) => {
          const { dtype } = graph.outputs[i];
          const own = isHalf(dtype) ? storeValues(value, dtype) : taken.has(value) ? value.slice() : value;
          taken.add(own);
          return own;
        });
        // Only now, when every result is an array of its own: an update may read what another one overwrites.
        for (const { input, output } of graph.updates) inputs[input].set(results[output]);
        for (const { input, output } of graph.updates) results[output] = inputs[input];
        return results;
      },
      describe: () => printGraph(graph),
    };
  },
};

function checkInputs(nodes: readonly Node[], arrays: readonly TypedArray[]): void {
  if (arrays.length !== nodes.length)
    throw new ManabiError(`reference: the graph takes ${nodes.length} inputs, got ${arrays.length}`);
  nodes.forEach(({ shape, dtype }, i) => {
    if (!(arrays[i] instanceof arrayType(dtype)) || arrays[i].length !== sizeOf(shape))
      throw new ManabiError(
        `reference: input ${i} is ${dtype}${showShape(shape)} and takes a ${arrayType(dtype).name} of ` +
          `${sizeOf(shape)} values, got a ${arrays[i].constructor.name} of ${arrays[i].length}`,
      );
  });
}
