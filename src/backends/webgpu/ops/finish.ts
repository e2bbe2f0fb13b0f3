import { type Load, rewriter, walk } from "../../../compiler/expr.ts";
import type { OpInstruction } from "../../../compiler/instruction.ts";
import type { Operand } from "../wgsl/shader.ts";
import { Values } from "../wgsl/values.ts";

/** What becomes of an element of a result: it is stored, or goes through the kernel that the compiler has attached. */
export interface Finish {
  /** The function of WGSL that takes the position and the value. */
  readonly name: string;
  readonly text: string;
  /** What the kernel reads beside the result, then what is written. */
  readonly operands: readonly Operand[];
  readonly params: readonly number[];
}

/** The end of an operation whose shader has so many operands and parameters before. */
export function finishOf(op: OpInstruction, operands: number, params: number): Finish {
  const target: Operand = { buffer: op.buffers[op.buffers.length - 1], offset: 0, written: true };
  if (!op.epilogue) return { name: `store${operands}`, text: "", operands: [target], params: [] };
  const { kernel, buffers } = op.epilogue;
  const [{ buffer: written, value }] = kernel.stores;
  const others = buffers.flatMap((b, i) => (b === target.buffer ? [] : [i]));
  const renumbered = rewriter({ load: (load) => ({ ...load, buffer: operands + others.indexOf(load.buffer) }) });
  const result = new Set<Load>();
  walk(value, (e) => {
    if (e.op === "load" && buffers[e.buffer] === target.buffer) result.add(e);
  });
  const kinds = Array.from({ length: operands }, () => kernel.buffers[written]);
  const values = new Values({ ...kernel, buffers: [...kinds, ...others.map((i) => kernel.buffers[i])] }, params);
  for (const load of result) values.define(renumbered.expr(load), "value");
  values.decompose("at", kernel.axes);
  const stored = values.value(renumbered.expr(value));
  values.line(`store${operands + others.length}(at, ${stored});`);
  return {
    name: "finish",
    text: `fn finish(at: i32, value: f32) {\n${values.lines.join("\n")}\n}`,
    operands: [...others.map((i): Operand => ({ buffer: buffers[i], offset: 0, written: false })), target],
    params: values.params,
  };
}
