/** The WGSL of instructions, for tests that need no device. */
import { expandOperations, operationDispatch } from "../../src/backends/webgpu/ops/index.ts";
import { readHalves } from "../../src/backends/webgpu/read-halves.ts";
import { splitReductions } from "../../src/backends/webgpu/split-reductions.ts";
import { kernelDispatch } from "../../src/backends/webgpu/wgsl/kernel.ts";
import { type Dispatch, shaderText, type Workgroups } from "../../src/backends/webgpu/wgsl/shader.ts";
import type { Instruction } from "../../src/compiler/instruction.ts";
import { schedule } from "../../src/compiler/schedule.ts";
import { simplify } from "../../src/compiler/simplify.ts";
import { traceGraph } from "../../src/ops/jit.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";

export const zeros = (...shape: number[]): Tensor => tensor(0).broadcastTo(shape);
/** What every device has. */
export const plain: Workgroups = { shared: 16384, subgroups: null, matrices: [] };

/** As if every operand were a buffer of the device by itself. */
export const textOf = ({ code, operands, params }: Dispatch): string =>
  shaderText(
    code,
    {
      operands: operands.map(({ buffer, written, inPairs }, i) => ({
        dtype: buffer.dtype,
        written,
        inPairs,
        binding: i,
      })),
      bindings: operands.map(({ written }) => written),
    },
    params.length,
  );

export const halves = (...shapes: number[][]): Tensor[] =>
  shapes.map((shape) => tensor(0).cast("f16").broadcastTo(shape));

export const instructionsOf = (
  fn: (...x: Tensor[]) => Tensor | readonly Tensor[],
  ...inputs: Tensor[]
): readonly Instruction[] => schedule(simplify(traceGraph(fn, ...inputs))).instructions;

export const dispatches = (instructions: readonly Instruction[], workgroups = plain): Dispatch[] =>
  splitReductions(expandOperations(readHalves(instructions), workgroups)).flatMap((i) => {
    const made = i.kind === "kernel" ? kernelDispatch(i, workgroups, "a kernel") : null;
    return i.kind === "op" ? [operationDispatch(i, workgroups)] : made ? [made] : [];
  });

/** The text of each shader of a function. */
export const textsOf = (fn: (...x: Tensor[]) => Tensor, inputs: readonly Tensor[], workgroups = plain): string[] =>
  dispatches(instructionsOf(fn, ...inputs), workgroups).map(textOf);
