import type { Instruction, OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import type { Dispatch, Workgroups } from "../wgsl/shader.ts";
import {
  attentionDispatch,
  attentionKeysDispatch,
  attentionQueriesDispatch,
  attentionRowsDispatch,
  expandAttentionGrad,
} from "./attention.ts";
import { contractionDispatch, partsOf, splitProduct, sumPartsDispatch } from "./contract.ts";
import { type Contraction, finished } from "./contraction.ts";
import { cumsumDispatch } from "./cumsum.ts";
import { convolution, matrixProduct } from "./products.ts";
import { expandScatterAdd, scatterAddDispatch, scatterSumDispatch } from "./scatter.ts";
import { expandArgsort, sortBlockDispatch, sortKeysDispatch, sortPassDispatch, sortTakeDispatch } from "./sort.ts";

/** Operations that take several runs of shaders as instructions of one run each. */
export function expandOperations(instructions: readonly Instruction[], workgroups: Workgroups): Instruction[] {
  return instructions.flatMap((i): Instruction[] => {
    if (i.kind === "loop") return [{ ...i, body: expandOperations(i.body, workgroups) }];
    return i.kind === "op" ? expand(i, workgroups) : [i];
  });
}

function expand(op: OpInstruction, workgroups: Workgroups): OpInstruction[] {
  const contraction = contractionOf(op);
  if (contraction) return splitProduct(op, partsOf(contraction, workgroups));
  if (op.name.startsWith("attention_grad")) return expandAttentionGrad(op);
  if (op.name.startsWith("argsort")) return expandArgsort(op);
  return op.name.startsWith("scatter_add") ? expandScatterAdd(op) : [op];
}

/** Whether an operation is a product of matrices or a convolution. */
export const isProduct = ({ name }: OpInstruction): boolean => /^(gemm|conv)_/.test(name);

/** The product that an operation is, or null. */
function contractionOf(op: OpInstruction): Contraction | null {
  if (op.name.startsWith("gemm_")) return finished(op, matrixProduct(op));
  if (op.name.startsWith("conv_input_grad_")) return finished(op, convolution(op, "input"));
  if (op.name.startsWith("conv_weight_grad_")) return finished(op, convolution(op, "weight"));
  return op.name.startsWith("conv_") ? finished(op, convolution(op, "forward")) : null;
}

type OperationDispatch = (op: OpInstruction, shared: number) => Dispatch;

/** By the beginning of the name; the first that fits counts. */
const dispatches: readonly (readonly [name: string, OperationDispatch])[] = [
  ["sum_parts", sumPartsDispatch],
  ["attention_grad_rows", attentionRowsDispatch],
  ["attention_grad_queries", attentionQueriesDispatch],
  ["attention_grad_keys", attentionKeysDispatch],
  ["attention_", attentionDispatch],
  ["cumsum_", cumsumDispatch],
  ["sort_keys", sortKeysDispatch],
  ["sort_pass", sortPassDispatch],
  ["sort_block", sortBlockDispatch],
  ["sort_take", sortTakeDispatch],
  ["scatter_add_", scatterAddDispatch],
  ["scatter_sum", scatterSumDispatch],
];

/** The run of a shader that an operation is. */
export function operationDispatch(op: OpInstruction, workgroups: Workgroups): Dispatch {
  const [, parts = "1", name] = /^(?:split(\d+)_)?(.*)$/.exec(op.name) as RegExpExecArray;
  const contraction = contractionOf({ ...op, name });
  if (contraction) return contractionDispatch(contraction, Number(parts), workgroups);
  const [, dispatch] = dispatches.find(([start]) => name.startsWith(start)) ?? [];
  if (!dispatch) throw new ManabiError(`webgpu: no shader for the operation ${op.name}`);
  return dispatch(op, workgroups.shared);
}
