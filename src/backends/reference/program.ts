import { isHalf, loadValues, storeValues, type TypedArray } from "../../core/dtype.ts";
import { type Node, reachable } from "../../graph/node.ts";
import type { PrimitiveName } from "../../primitives/index.ts";
import { attention } from "./attention.ts";
import { contract } from "./contract.ts";
import { control } from "./control.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import type { Kernel, Kernels } from "./kernel.ts";
import { movement } from "./movement.ts";
import { reduce } from "./reduce.ts";

const kernels = {
  ...attention,
  ...control,
  ...elementwise,
  ...reduce,
  ...movement,
  ...contract,
  ...indexing,
} satisfies Kernels<PrimitiveName>;
const table: Readonly<Record<string, Kernel<object>>> = kernels;

/** One node as it was when the program was made: realizing it later changes the node, but not the program. */
interface Step {
  readonly node: Node;
  readonly kernel: Kernel<object>;
  readonly attrs: object;
  readonly inputs: readonly Node[];
  /** Values that no later step reads. */
  readonly last: Node[];
}

/**
 * Computes outputs from inputs. A result may be an input, the array of a data leaf, or another result. Values of 16-bit
 * floats are f32 arrays that hold nothing but such values.
 */
export type Program = (inputs: readonly TypedArray[]) => TypedArray[];

export function makeProgram({ inputs, outputs }: { inputs: readonly Node[]; outputs: readonly Node[] }): Program {
  const fed = new Set(inputs);
  const steps: Step[] = reachable(outputs, (node) => !fed.has(node)).map((node) => ({
    node,
    kernel: table[node.prim.name],
    attrs: node.attrs,
    inputs: node.inputs,
    last: [],
  }));
  const live = new Set<Node>(outputs);
  for (const step of steps.toReversed())
    for (const node of step.inputs)
      if (!live.has(node)) {
        live.add(node);
        step.last.push(node);
      }
  return (arrays) => {
    const values = new Map<Node, TypedArray[]>();
    inputs.forEach((node, i) => {
      values.set(node, [arrays[i]]);
    });
    for (const { node, kernel, attrs, inputs: specs, last } of steps) {
      const operands = specs.flatMap((input) => values.get(input) as TypedArray[]);
      const result = kernel({ node, attrs, inputs: operands, specs, prepare: makeProgram });
      const { dtype } = node;
      if (isHalf(dtype) && !Array.isArray(result) && !operands.includes(result))
        result.set(loadValues(storeValues(result, dtype), dtype));
      values.set(node, Array.isArray(result) ? result : [result]);
      for (const done of last) values.delete(done);
    }
    return outputs.map((node) => (values.get(node) as TypedArray[])[0]);
  };
}
