import { add, div, i32, minOf, mul, op, rem, sub, type Value } from "../assembler.ts";
import type { Call } from "../call.ts";
import { panelPacker } from "./pack.ts";
import { batchTable, type Product, toBatchElement } from "./product.ts";
import { type Real, tileColumns, tileRows } from "./real.ts";
import { sumPartsCall } from "./sum-parts.ts";
import { asideBytes, runEdgeTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, type Place, roundUp } from "./work.ts";

/** Bytes of a panel of B, which stays in the first cache, and of the rows of A that stay in the second. */
const panelBytes = 8 << 10;
const rowsBytes = 96 << 10;
/** Of one operand that all threads read packed. */
const sharedBytes = 64 << 20;
const itemProducts = 1 << 19;
/** A result of so few elements is computed in parts of K, each of so many steps at least. */
const fewElements = 1 << 14;
const partDepth = 1 << 10;
const mostParts = 8;

type Side = "a" | "b";
/** Rows or columns of a panel. */
const widthOf = (real: Real, side: Side): number => (side === "a" ? tileRows : tileColumns(real));

/**
 * Packs the panels of A or B: [slice][panel][depth of the slice][width], to a buffer or to the shared memory (`to` is then
 * not looked at). An item is a panel.
 */
const packing = (real: Real, side: Side, target: "to" | "shared") => {
  const width = widthOf(real, side);
  return defineWork({
    key: `gemm_pack_${side}_${target}_${real.name}`,
    buffers: ["from", "to"],
    params: ["lanes", "depth", "laneStep", "depthStep", "slice"],
    build(f, module, w, { begin, end }) {
      const padded = side === "a" ? w.lanes : f.let(mul(div(add(w.lanes, width - 1), width), width));
      const pack = panelPacker(module, real, width, side === "a");
      f.range(0, w.depth, w.slice, (k) => {
        const steps = f.let(minOf(w.slice, sub(w.depth, k)));
        f.range(begin, end, 1, (item) => {
          const lane = f.let(mul(item, width));
          const to = add(w[target], mul(add(mul(k, padded), mul(lane, steps)), real.bytes));
          const from = add(w.from, add(mul(lane, w.laneStep), mul(k, w.depthStep)));
          f.call(pack, to, from, w.laneStep, w.depthStep, minOf(sub(w.lanes, lane), i32(width)), steps);
        });
      });
    },
  });
};

/**
 * What was packed before: A or B, into shared memory; B, into its buffer (`given`); or nothing (`own`), and in `parts` the
 * elements of the batch are parts of one product's K, whose sums go to shared memory.
 */
type Way = Side | "given" | "own" | "parts";

/** A block of C over all slices of K; what was not packed before is packed here, into the thread's own memory. */
const blocked = (real: Real, way: Way) => {
  const width = tileColumns(real);
  const packed: Side | null = way === "given" ? "b" : way === "a" || way === "b" ? way : null;
  return defineWork({
    key: `gemm_blocked_${way}_${real.name}`,
    buffers: ["a", "b", "c"],
    params: [
      ...(["m", "n", "k", "aRow", "aColumn", "bRow", "bColumn", "rank", "accumulate", "whole"] as const),
      ...(["rowBlocks", "blockRows", "blockColumns", "blocks", "slice", "sweep"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const ownA = f.let(add(w.own, asideBytes(real)));
      const ownB = packed === "a" ? ownA : f.let(add(ownA, mul(mul(w.blockRows, w.slice), real.bytes)));
      const paddedN = f.let(mul(div(add(w.n, width - 1), width), width));
      f.range(begin, end, 1, (item) => {
        const [a0, b0] = [f.let(w.a), f.let(w.b)];
        const element = f.let(div(item, w.blocks));
        const kEnd = way === "parts" ? f.let(minOf(w.k, sub(w.whole, mul(element, w.k)))) : w.k;
        const c0 = f.let(add(way === "parts" ? w.shared : w.c, mul(mul(element, mul(w.m, w.n)), real.bytes)));
        toBatchElement(f, element, w.rank, table, a0, b0);
        const block = f.let(rem(item, w.blocks));
        const i0 = f.let(mul(rem(block, w.rowBlocks), w.blockRows));
        const i1 = f.let(minOf(w.m, add(i0, w.blockRows)));
        const j0 = f.let(mul(div(block, w.rowBlocks), w.blockColumns));
        const j1 = f.let(minOf(w.n, add(j0, w.blockColumns)));
        f.range(0, kEnd, w.slice, (k) => {
          const depth = f.let(minOf(w.slice, sub(kEnd, k)));
          const more = f.let(op("i32.or", w.accumulate, op("i32.ne", k, i32(0))));
          /** Where the panel of row or column `at` lies, or is written to. */
          const panel = (side: Side, at: Value) =>
            side === packed
              ? add(
                  way === "given" ? w.b : w.shared,
                  mul(add(mul(k, side === "a" ? w.m : paddedN), mul(at, depth)), real.bytes),
                )
              : add(side === "a" ? ownA : ownB, mul(mul(sub(at, side === "a" ? i0 : j0), depth), real.bytes));
          const pack = (side: Side, first: Value, limit: Value, from: Value, laneStep: Value, depthStep: Value) => {
            if (side === packed) return;
            const lanes = widthOf(real, side);
            f.range(first, limit, lanes, (at) => {
              const source = add(from, add(mul(at, laneStep), mul(k, depthStep)));
              const count = minOf(sub(limit, at), i32(lanes));
              f.call(
                panelPacker(module, real, lanes, side === "a"),
                panel(side, at),
                source,
                laneStep,
                depthStep,
                count,
                depth,
              );
            });
          };
          pack("a", i0, i1, a0, w.aRow, w.aColumn);
          pack("b", j0, j1, b0, w.bColumn, w.bRow);
          f.range(i0, i1, w.sweep, (first) => {
            const last = f.let(minOf(i1, add(first, w.sweep)));
            f.range(j0, j1, width, (j) => {
              const b = f.let(panel("b", j));
              const columns = f.let(minOf(sub(j1, j), i32(width)));
              f.range(first, last, tileRows, (i) => {
                const operands = {
                  ...{ a: panel("a", i), b, c: add(c0, mul(add(mul(i, w.n), j), real.bytes)) },
                  ...{ cStep: mul(w.n, real.bytes), depth, accumulate: more },
                };
                const rows = minOf(sub(last, i), i32(tileRows));
                runEdgeTile(f, module, real, "packed packed", operands, rows, columns, w.own);
              });
            });
          });
        });
      });
    },
  });
};

/** How a product is cut: blocks of C are items, K goes by slices, and rows of A by sweeps that stay in a cache. */
function cutProduct({ real, m, n, k }: Product, way: Way) {
  const width = tileColumns(real);
  const slice = sliceOf(real, k);
  const sweep = Math.max(1, Math.floor(rowsBytes / (slice * tileRows * real.bytes))) * tileRows;
  const wanted = (length: number, other: number, unit: number) =>
    Math.min(roundUp(length, unit), roundUp(Math.max(4 * width, itemProducts / (other * k)), unit));
  // What was packed before is not cut, unless the items would be too few.
  const blockColumns = way === "b" ? roundUp(n, width) : wanted(n, Math.min(m, sweep), width);
  const blockRows = way === "a" ? roundUp(m, tileRows) : wanted(m, blockColumns, tileRows);
  const rowBlocks = ceilDiv(m, blockRows);
  return { slice, sweep, blockRows, blockColumns, rowBlocks, blocks: rowBlocks * ceilDiv(n, blockColumns) };
}

/** Steps of a slice of K: a panel of B of so many stays in the first cache. */
function sliceOf(real: Real, k: number): number {
  return ceilDiv(k, ceilDiv(k, panelBytes / (tileColumns(real) * real.bytes)));
}

const inBytes = ({ a, b, real }: Product) => ({
  ...{ aRow: a.row * real.bytes, aColumn: a.column * real.bytes },
  ...{ bRow: b.row * real.bytes, bColumn: b.column * real.bytes },
});

/** The pass that multiplies; `whole` is K where the batch is made of its parts. */
function blocksCall(p: Product, count: number, way: Way, accumulate: boolean, whole: number): Call {
  const { real, m, n, k, a, b, c } = p;
  const cut = cutProduct(p, way);
  const own =
    (way === "a" ? 0 : cut.blockRows * cut.slice) + (way === "b" || way === "given" ? 0 : cut.blockColumns * cut.slice);
  return blocked(
    real,
    way,
  )({
    buffers: { a: a.place, b: b.place, c },
    params: { ...{ m, n, k, rank: p.batch.length, accumulate: Number(accumulate), whole }, ...inBytes(p), ...cut },
    table: batchTable(p),
    range: count * cut.blocks,
    grain: grainOf(cut.blockRows * cut.blockColumns * k),
    sharedBytes: way === "parts" ? count * m * n * real.bytes : 0,
    threadBytes: asideBytes(real) + own * real.bytes,
  });
}

function packCall(p: Product, side: Side, to: Place | null): Call {
  const { real, m, n, k } = p;
  const { aRow, aColumn, bRow, bColumn } = inBytes(p);
  const [lanes, laneStep, depthStep] = side === "a" ? [m, aRow, aColumn] : [n, bColumn, bRow];
  const width = widthOf(real, side);
  const from = p[side].place;
  return packing(
    real,
    side,
    to ? "to" : "shared",
  )({
    buffers: { from, to: to ?? from },
    params: { lanes, depth: k, laneStep, depthStep, slice: sliceOf(real, k) },
    range: ceilDiv(lanes, width),
    grain: grainOf(width * k),
    sharedBytes: to ? 0 : roundUp(lanes, width) * k * real.bytes,
  });
}

/** Products of `count` batch elements by packed panels; at most `limit` bytes of one operand are packed for all threads. */
export function blockedCalls(p: Product, count: number, limit = sharedBytes): readonly Call[] {
  const { real, m, n, k } = p;
  if (count > 1) return [blocksCall(p, count, "own", false, k)];
  const parts = m * n <= fewElements ? Math.min(mostParts, Math.floor(k / partDepth)) : 1;
  if (parts > 1) return partCalls(p, parts);
  // The larger side is cut into items, the other one is packed once for all of them.
  const side: Side = n >= m ? "a" : "b";
  const slice = sliceOf(real, k);
  const chunk = Math.max(1, Math.floor(limit / ((side === "a" ? m : n) * slice * real.bytes))) * slice;
  const calls: Call[] = [];
  for (let first = 0; first < k; first += chunk) {
    const part = { ...partOf(p, first), k: Math.min(chunk, k - first) };
    calls.push(packCall(part, side, null), blocksCall(part, 1, side, first > 0, part.k));
  }
  return calls;
}

/** The product over K from `first` on. */
function partOf(p: Product, first: number): Product {
  const move = ({ place, row, column }: Product["a"], step: number) => ({
    ...{ row, column },
    place: { ...place, offset: place.offset + first * step },
  });
  return { ...p, a: move(p.a, p.a.column), b: move(p.b, p.b.row) };
}

/** A small result of a long sum: parts of K are items, and their sums are added in order. */
function partCalls(p: Product, parts: number): readonly Call[] {
  const k = ceilDiv(p.k, parts);
  const batch = [{ size: parts, a: k * p.a.column, b: k * p.b.row }];
  return [blocksCall({ ...p, k, batch }, parts, "parts", false, p.k), sumPartsCall(p.real, p.c, p.m * p.n, parts)];
}

/** Elements of B once it is packed for \`packedCalls\`. */
export const packedElements = ({ real, n, k }: Product): number => roundUp(n, tileColumns(real)) * k;
export const packCalls = (p: Product, to: Place): readonly Call[] => [packCall(p, "b", to)];
/** The product where the place of B holds it packed. */
export const packedCalls = (p: Product): readonly Call[] => [blocksCall(p, 1, "given", false, p.k)];
