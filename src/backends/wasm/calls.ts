import type { CopyInstruction, Instruction } from "../../compiler/instruction.ts";
import { byteSize } from "../../core/dtype.ts";
import { add, load, minOf, mul, sub } from "./assembler.ts";
import type { Call, WorkFunction } from "./call.ts";
import { operationCalls } from "./ops/index.ts";
import { renderKernel } from "./render.ts";

/** An instruction as calls that follow one another, or a loop of such. */
export type Step = { readonly calls: readonly Call[] } | { readonly count: number; readonly body: readonly Step[] };

/** Instructions as steps, and the functions that they call. */
export function callsOf(list: readonly Instruction[]): {
  readonly steps: readonly Step[];
  readonly works: readonly WorkFunction[];
} {
  const works: WorkFunction[] = [];
  const stepsOf = (instructions: readonly Instruction[]): Step[] =>
    instructions.map((instruction) => {
      if (instruction.kind === "loop") return { count: instruction.count, body: stepsOf(instruction.body) };
      const calls = instructionCalls(instruction);
      works.push(...calls.map(({ work }) => work));
      return { calls };
    });
  const steps = stepsOf(list);
  return { steps, works };
}

function instructionCalls(instruction: Exclude<Instruction, { kind: "loop" }>): readonly Call[] {
  switch (instruction.kind) {
    case "kernel":
      return [
        { ...renderKernel(instruction.kernel), buffers: instruction.buffers.map((buffer) => ({ buffer, offset: 0 })) },
      ];
    case "op":
      return operationCalls(instruction);
    case "copy":
      return [copyCall(instruction)];
  }
}

const copyPiece = 1 << 16;

/** (to, from, bytes): an item is a piece of so many bytes. */
const copyWork: WorkFunction = {
  key: "copy",
  build(f, _module, ctx, begin, end) {
    const [to, from, bytes] = [0, 4, 16].map((word) => load("i32.load", ctx, word));
    const first = f.let(mul(begin, copyPiece));
    const last = f.let(minOf(mul(end, copyPiece), bytes));
    f.do("memory.copy", add(to, first), add(from, first), sub(last, first));
  },
};

function copyCall({ to, from }: CopyInstruction): Call {
  const bytes = to.size * byteSize(to.dtype);
  return {
    work: copyWork,
    buffers: [to, from].map((buffer) => ({ buffer, offset: 0 })),
    params: [bytes],
    range: Math.ceil(bytes / copyPiece),
    grain: 4,
  };
}
