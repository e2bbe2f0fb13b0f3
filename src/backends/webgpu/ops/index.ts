import type { Instruction, OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import type { Dispatch } from "../wgsl/shader.ts";
export function expandOperations(list: readonly Instruction[], _shared: number): Instruction[] { return [...list]; }
export function operationDispatch(op: OpInstruction, _shared: number): Dispatch { throw new ManabiError(`todo ${op.name}`); }
