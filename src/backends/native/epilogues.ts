import { type Host, isInOrder } from "../../compiler/epilogue.ts";
import type { OpInstruction } from "../../compiler/instruction.ts";
import { withLastAxis } from "../../compiler/kernel.ts";

/** Operations that can run a kernel over each part of their result while it is in the cache. */
const hosts = /^(conv|gemm)(_packed)?_f/;
/** Columns of a result that are worth a loop of their own. */
const fewestColumns = 16;

/**
 * The result of an operation as a matrix: the positions of an image and channel, or what a product writes in a row, are
 * its columns.
 */
function matrixOf({ name, params }: OpInstruction): { rows: number; columns: number } {
  if (name.startsWith("conv")) {
    const [n, , channels] = params;
    return { rows: n * channels, columns: params[10] * params[11] * params[12] };
  }
  const [m, n, , , , , , rank] = params;
  const batch = Array.from({ length: rank }, (_, d) => params[8 + 3 * d]);
  return { rows: batch.reduce((a, b) => a * b, m), columns: n };
}

/** Products and convolutions: the kernel with rows and columns of the result as its axes, to run over any part of it. */
export const overMatrix: Host = (op, { kernel, buffers }) => {
  if (!hosts.test(op.name)) return null;
  const { rows, columns } = matrixOf(op);
  if (columns < fewestColumns || buffers[kernel.stores[0].buffer].size !== rows * columns) return null;
  const split = withLastAxis(kernel, columns);
  return split && isInOrder(split) ? split : null;
};
