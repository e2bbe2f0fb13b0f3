import type { OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import type { Call } from "../call.ts";

/** The calls that compute an operation, one after the other. */
export function operationCalls({ name }: OpInstruction): readonly Call[] {
  throw new ManabiError(`wasm: no operation ${name}; the native backend has it`);
}
