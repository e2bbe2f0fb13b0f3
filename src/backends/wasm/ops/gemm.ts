import type { OpInstruction } from "../../../compiler/instruction.ts";
import type { Call } from "../call.ts";
import { fillCalls } from "./fill.ts";
import { blockedCalls, packCalls, packedCalls, packedElements } from "./gemm-blocked.ts";
import { directCalls } from "./gemm-direct.ts";
import { vectorCalls } from "./gemm-vector.ts";
import type { BatchAxis, Product } from "./product.ts";
import { realOf, tileRows } from "./real.ts";
import { placeOf, product } from "./work.ts";

/** Products up to which packing does not pay. */
const directProducts = 1 << 17;
/** Products from which it pays to keep B packed. */
const leastPacked = 1 << 14;

/** gemm_*: A, B -> C. */
export const gemmCalls = (op: OpInstruction): readonly Call[] => productCalls(readProduct(op, "gemm"));

/** Elements of B once it is packed; 0 if products of this shape do not pack it, or not all at once. */
export function packedGemmElements(op: OpInstruction): number {
  const p = readProduct(op, "gemm");
  return p.batch.length || p.m < 2 || p.n < 2 || p.k * p.m * p.n < leastPacked ? 0 : packedElements(p);
}

/** gemm_pack_*: B -> B in panels. */
export function gemmPackCalls(op: OpInstruction): readonly Call[] {
  const p = readProduct(op, "gemm_pack");
  return packCalls({ ...p, b: { ...p.b, place: placeOf(op, 0) } }, placeOf(op, 1));
}

/** gemm_packed_*: A, B in panels -> C. */
export const gemmPackedCalls = (op: OpInstruction): readonly Call[] => packedCalls(readProduct(op, "gemm_packed"));

/** The product that an operation of this name without its dtype computes; see `operation` in the compiler. */
export function readProduct(op: OpInstruction, base: string): Product {
  const [m, n, k, aRow, aColumn, bRow, bColumn, rank, ...batch] = op.params;
  return {
    real: realOf(op.name.slice(base.length + 1).split("_")[0]),
    ...{ m, n, k },
    a: { place: placeOf(op, 0), row: aRow, column: aColumn },
    b: { place: placeOf(op, 1), row: bRow, column: bColumn },
    c: placeOf(op, 2),
    batch: Array.from({ length: rank }, (_, i) => {
      const [size, a, b] = batch.slice(3 * i, 3 * i + 3);
      return { size, a, b };
    }),
  };
}

/**
 * Three ways, chosen by size: `vector` for one row or column, at the speed of memory; `direct` for small products, which
 * reads A where it lies and B too if its rows are contiguous; `blocked` with packed panels for the others.
 */
export function productCalls(given: Product): readonly Call[] {
  const p = joined(given);
  const { m, n, k } = p;
  const count = product(p.batch.map(({ size }) => size));
  if (m * n * count === 0) return [];
  if (k === 0) return fillCalls(p.c, 0, p.real.bytes * m * n * count);
  if (m === 1 || n === 1) return vectorCalls(p, count);
  if (m <= 2 * tileRows || m * n * k <= directProducts) return directCalls(p, count);
  return blockedCalls(p, count);
}

/** The same product with fewer batch axes: those over which the rows of A go on and B stays are rows. */
function joined(p: Product): Product {
  let m = p.m;
  let row = p.a.row;
  const axes: BatchAxis[] = [];
  for (const axis of p.batch.filter(({ size }) => size !== 1).reverse()) {
    const inner = axes[0];
    if (!inner && axis.b === 0 && (m === 1 || axis.a === m * row)) {
      if (m === 1) row = axis.a;
      m *= axis.size;
    } else if (inner && axis.a === inner.size * inner.a && axis.b === inner.size * inner.b)
      axes[0] = { ...inner, size: axis.size * inner.size };
    else axes.unshift(axis);
  }
  return { ...p, m, a: { ...p.a, row }, batch: axes };
}
