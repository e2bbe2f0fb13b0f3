import { add, div, i32, minOf, mul, op, rem, sub, type Value } from "../assembler.ts";
import type { Call } from "../call.ts";
import { panelPacker } from "./pack.ts";
import { batchTable, type Product, toBatchElement } from "./product.ts";
import { type Real, tileColumns, tileRows } from "./real.ts";
import { asideBytes, runEdgeTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, roundUp } from "./work.ts";

/** Bytes of a panel of B, which stays in the first cache, and of the rows of A that stay in the second. */
const panelBytes = 8 << 10;
const rowsBytes = 96 << 10;
/** Of one operand that all threads read packed. */
const sharedBytes = 64 << 20;
const itemProducts = 1 << 19;

type Side = "a" | "b";
/** Rows or columns of a panel. */
const widthOf = (real: Real, side: Side): number => (side === "a" ? tileRows : tileColumns(real));

/** Packs the panels of A or B into shared memory: [slice][panel][depth of the slice][width]. An item is a panel. */
const packing = (real: Real, side: Side) => {
  const width = widthOf(real, side);
  return defineWork({
    key: `gemm_pack_${side}_${real.name}`,
    buffers: ["from"],
    params: ["lanes", "depth", "laneStep", "depthStep", "slice"],
    build(f, module, w, { begin, end }) {
      const padded = side === "a" ? w.lanes : f.let(mul(div(add(w.lanes, width - 1), width), width));
      const pack = panelPacker(module, real, width, side === "a");
      f.range(0, w.depth, w.slice, (k) => {
        const steps = f.let(minOf(w.slice, sub(w.depth, k)));
        f.range(begin, end, 1, (item) => {
          const lane = f.let(mul(item, width));
          const to = add(w.shared, mul(add(mul(k, padded), mul(lane, steps)), real.bytes));
          const from = add(w.from, add(mul(lane, w.laneStep), mul(k, w.depthStep)));
          f.call(pack, to, from, w.laneStep, w.depthStep, minOf(sub(w.lanes, lane), i32(width)), steps);
        });
      });
    },
  });
};

/**
 * A block of C over all slices of K. The side that is shared was packed before; the other one, or both, is packed here into
 * the thread's own memory.
 */
const blocked = (real: Real, shared: Side | null) => {
  const width = tileColumns(real);
  return defineWork({
    key: `gemm_blocked_${shared ?? "own"}_${real.name}`,
    buffers: ["a", "b", "c"],
    params: [
      ...(["m", "n", "k", "aRow", "aColumn", "bRow", "bColumn", "rank", "accumulate"] as const),
      ...(["rowBlocks", "blockRows", "blockColumns", "blocks", "slice", "sweep"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const ownA = f.let(add(w.own, asideBytes(real)));
      const ownB = shared === "a" ? ownA : f.let(add(ownA, mul(mul(w.blockRows, w.slice), real.bytes)));
      const paddedN = f.let(mul(div(add(w.n, width - 1), width), width));
      f.range(begin, end, 1, (item) => {
        const [a0, b0] = [f.let(w.a), f.let(w.b)];
        const element = f.let(div(item, w.blocks));
        const c0 = f.let(add(w.c, mul(mul(element, mul(w.m, w.n)), real.bytes)));
        toBatchElement(f, element, w.rank, table, a0, b0);
        const block = f.let(rem(item, w.blocks));
        const i0 = f.let(mul(rem(block, w.rowBlocks), w.blockRows));
        const i1 = f.let(minOf(w.m, add(i0, w.blockRows)));
        const j0 = f.let(mul(div(block, w.rowBlocks), w.blockColumns));
        const j1 = f.let(minOf(w.n, add(j0, w.blockColumns)));
        f.range(0, w.k, w.slice, (k) => {
          const depth = f.let(minOf(w.slice, sub(w.k, k)));
          const more = f.let(op("i32.or", w.accumulate, op("i32.ne", k, i32(0))));
          /** Where the panel of row or column `at` lies, or is written to. */
          const panel = (side: Side, at: Value) =>
            side === shared
              ? add(w.shared, mul(add(mul(k, side === "a" ? w.m : paddedN), mul(at, depth)), real.bytes))
              : add(side === "a" ? ownA : ownB, mul(mul(sub(at, side === "a" ? i0 : j0), depth), real.bytes));
          const pack = (side: Side, first: Value, limit: Value, from: Value, laneStep: Value, depthStep: Value) => {
            if (side === shared) return;
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

/** Products of `count` batch elements by packed panels. */
export function blockedCalls(p: Product, count: number): readonly Call[] {
  const { real, m, n, k } = p;
  const width = tileColumns(real);
  const longest = panelBytes / (width * real.bytes);
  const slice = ceilDiv(k, ceilDiv(k, longest));
  const sweep = Math.max(1, Math.floor(rowsBytes / (slice * tileRows * real.bytes))) * tileRows;
  // The larger side is cut into items, the other one is packed once for all of them.
  const shared: Side | null = count > 1 ? null : n >= m ? "a" : "b";
  const wanted = (length: number, other: number, unit: number) =>
    Math.min(roundUp(length, unit), roundUp(Math.max(4 * width, itemProducts / (other * k)), unit));
  const blockColumns = shared === "b" ? roundUp(n, width) : wanted(n, m, width);
  const blockRows = shared === "a" ? roundUp(m, tileRows) : wanted(m, blockColumns, tileRows);
  const rowBlocks = ceilDiv(m, blockRows);
  const blocks = rowBlocks * ceilDiv(n, blockColumns);
  const own = (shared === "a" ? 0 : blockRows * slice) + (shared === "b" ? 0 : blockColumns * slice);
  const chunk = shared
    ? Math.max(1, Math.floor(sharedBytes / ((shared === "a" ? m : n) * slice * real.bytes))) * slice
    : k;
  const places = { a: p.a.place, b: p.b.place, c: p.c };
  const steps = { aRow: p.a.row, aColumn: p.a.column, bRow: p.b.row, bColumn: p.b.column };
  const bytes = Object.fromEntries(
    Object.entries(steps).map(([name, step]) => [name, step * real.bytes]),
  ) as typeof steps;

  const calls: Call[] = [];
  for (let first = 0; first < k; first += chunk) {
    const depth = Math.min(chunk, k - first);
    const move = (side: Side, step: number) => ({ ...places[side], offset: places[side].offset + first * step });
    const [a, b] = [move("a", steps.aColumn), move("b", steps.bRow)];
    if (shared) {
      const lanes = shared === "a" ? m : n;
      const lane = widthOf(real, shared);
      calls.push(
        packing(
          real,
          shared,
        )({
          buffers: { from: shared === "a" ? a : b },
          params: {
            ...{ lanes, depth, slice },
            laneStep: shared === "a" ? bytes.aRow : bytes.bColumn,
            depthStep: shared === "a" ? bytes.aColumn : bytes.bRow,
          },
          range: ceilDiv(lanes, lane),
          grain: grainOf(lane * depth),
          sharedBytes: roundUp(lanes, lane) * depth * real.bytes,
        }),
      );
    }
    calls.push(
      blocked(
        real,
        shared,
      )({
        buffers: { a, b, c: p.c },
        params: {
          ...{ m, n, k: depth, ...bytes, rank: p.batch.length, accumulate: Number(first > 0) },
          ...{ rowBlocks, blockRows, blockColumns, blocks, slice, sweep },
        },
        table: batchTable(p),
        range: count * blocks,
        grain: grainOf(blockRows * blockColumns * depth),
        threadBytes: asideBytes(real) + own * real.bytes,
      }),
    );
  }
  return calls;
}
