import type { OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import type { Call } from "../call.ts";
import { argsortCalls } from "./argsort.ts";
import { attentionCalls } from "./attention.ts";
import { attentionGradCalls } from "./attention-grad.ts";
import {
  convCalls,
  convInputGradCalls,
  convPackCalls,
  convPackedCalls,
  convWeightGradCalls,
  packedConvElements,
} from "./conv.ts";
import { cumsumCalls } from "./cumsum.ts";
import { gemmCalls, gemmPackCalls, gemmPackedCalls, packedGemmElements } from "./gemm.ts";
import { scatterAddCalls } from "./scatter-add.ts";

const operations: Readonly<Record<string, (op: OpInstruction) => readonly Call[]>> = {
  gemm: gemmCalls,
  gemm_pack: gemmPackCalls,
  gemm_packed: gemmPackedCalls,
  conv: convCalls,
  conv_pack: convPackCalls,
  conv_packed: convPackedCalls,
  conv_input_grad: convInputGradCalls,
  conv_weight_grad: convWeightGradCalls,
  attention: attentionCalls,
  attention_grad: attentionGradCalls,
  cumsum: cumsumCalls,
  argsort: argsortCalls,
  scatter_add: scatterAddCalls,
};

const baseOf = ({ name }: OpInstruction): string => name.replace(/_(f32|f64|i32|u32|u8)(_high|_medium)?$/, "");

/** The passes of a built-in operation; see `operation` in the compiler for names and parameters. */
export function operationCalls(op: OpInstruction): readonly Call[] {
  const calls = operations[baseOf(op)];
  if (!calls) throw new ManabiError(`wasm: no operation ${op.name}; known are ${Object.keys(operations).join(", ")}`);
  return calls(op);
}

/** Elements of the second operand of an operation once it is packed, for `hoist` in the compiler; 0 if it packs none. */
export function packedSize(op: OpInstruction): number {
  const base = baseOf(op);
  if (base === "gemm") return packedGemmElements(op);
  return base === "conv" ? packedConvElements(op) : 0;
}
