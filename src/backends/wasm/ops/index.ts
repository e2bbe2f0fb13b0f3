import type { OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import type { Call } from "../call.ts";
import { argsortCalls } from "./argsort.ts";
import { attentionCalls } from "./attention.ts";
import { attentionGradCalls } from "./attention-grad.ts";
import { convCalls, convInputGradCalls, convWeightGradCalls } from "./conv.ts";
import { cumsumCalls } from "./cumsum.ts";
import { gemmCalls } from "./gemm.ts";
import { scatterAddCalls } from "./scatter-add.ts";

const operations: Readonly<Record<string, (op: OpInstruction) => readonly Call[]>> = {
  gemm: gemmCalls,
  conv: convCalls,
  conv_input_grad: convInputGradCalls,
  conv_weight_grad: convWeightGradCalls,
  attention: attentionCalls,
  attention_grad: attentionGradCalls,
  cumsum: cumsumCalls,
  argsort: argsortCalls,
  scatter_add: scatterAddCalls,
};

/** The passes of a built-in operation; see `operation` in the compiler for names and parameters. */
export function operationCalls(op: OpInstruction): readonly Call[] {
  const base = op.name.replace(/_(f32|f64|i32|u32|u8)(_high|_medium)?$/, "");
  const calls = operations[base];
  if (!calls) throw new ManabiError(`wasm: no operation ${op.name}; known are ${Object.keys(operations).join(", ")}`);
  return calls(op);
}
