import { add, div, eq, i32, minOf, mul, op, rem, sub } from "../assembler.ts";
import type { Call } from "../call.ts";
import { panelPacker } from "./pack.ts";
import { batchTable, type Product, toBatchElement } from "./product.ts";
import { type Real, tileColumns, tileRows } from "./real.ts";
import { asideBytes, runEdgeTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, roundUp } from "./work.ts";

/** Multiplications that a block of rows and columns, an item, holds at least, as far as the product is large enough. */
const itemProducts = 1 << 15;

const direct = ({ real, width }: { real: Real; width: number }) =>
  defineWork({
    key: `gemm_direct_${real.name}`,
    buffers: ["a", "b", "c"],
    params: [
      "m",
      "n",
      "k",
      "aRow",
      "aColumn",
      "bRow",
      "bColumn",
      "rank",
      "rowBlocks",
      "blockRows",
      "blockColumns",
      "blocks",
    ],
    build(f, module, w, { begin, end }, table) {
      const panel = add(w.own, asideBytes(real));
      f.range(begin, end, 1, (item) => {
        const [a0, b0, c0] = [f.let(w.a), f.let(w.b), f.local("i32")];
        const element = f.let(div(item, w.blocks));
        f.set(c0, add(w.c, mul(mul(element, mul(w.m, w.n)), real.bytes)));
        toBatchElement(f, element, w.rank, table, a0, b0);
        const block = f.let(rem(item, w.blocks));
        const i0 = f.let(mul(rem(block, w.rowBlocks), w.blockRows));
        const i1 = f.let(minOf(w.m, add(i0, w.blockRows)));
        const j0 = f.let(mul(div(block, w.rowBlocks), w.blockColumns));
        const j1 = f.let(minOf(w.n, add(j0, w.blockColumns)));
        f.range(j0, j1, width, (j) => {
          const columns = f.let(minOf(sub(j1, j), i32(width)));
          const b = f.let(add(b0, mul(j, w.bColumn)));
          const bStep = f.let(w.bRow);
          const inPlace = op("i32.and", eq(w.bColumn, real.bytes), eq(columns, width));
          f.if(op("i32.eqz", inPlace), () => {
            f.call(panelPacker(module, real, width, false), panel, b, w.bColumn, w.bRow, columns, w.k);
            f.set(b, panel);
            f.set(bStep, i32(width * real.bytes));
          });
          f.range(i0, i1, tileRows, (i) => {
            const operands = {
              ...{ a: add(a0, mul(i, w.aRow)), aRow: w.aRow, aStep: w.aColumn, b, bStep },
              c: add(c0, mul(add(mul(i, w.n), j), real.bytes)),
              ...{ cStep: mul(w.n, real.bytes), depth: w.k, accumulate: i32(0) },
            };
            const rows = minOf(sub(i1, i), i32(tileRows));
            runEdgeTile(f, module, real, "strided strided", operands, rows, columns, w.own);
          });
        });
      });
    },
  });

/** Small products of `count` batch elements: an item is a block of C over all of K. */
export function directCalls(p: Product, count: number): readonly Call[] {
  const { real, m, n, k } = p;
  const width = tileColumns(real);
  // Where B is packed, whole columns go to one item; else it does not matter, and rows are cut first.
  const blockColumns = Math.min(roundUp(n, width), roundUp(Math.max(1, itemProducts / (m * k)), width));
  const blockRows = Math.min(m, roundUp(Math.max(1, itemProducts / (blockColumns * k)), tileRows));
  const rowBlocks = ceilDiv(m, blockRows);
  const blocks = rowBlocks * ceilDiv(n, blockColumns);
  return [
    direct({ real, width })({
      buffers: { a: p.a.place, b: p.b.place, c: p.c },
      params: {
        ...{ m, n, k, rank: p.batch.length, rowBlocks, blockRows, blockColumns, blocks },
        ...{ aRow: p.a.row * real.bytes, aColumn: p.a.column * real.bytes },
        ...{ bRow: p.b.row * real.bytes, bColumn: p.b.column * real.bytes },
      },
      table: batchTable(p),
      range: count * blocks,
      grain: grainOf(blockRows * blockColumns * k),
      threadBytes: asideBytes(real) + k * width * real.bytes,
    }),
  ];
}
