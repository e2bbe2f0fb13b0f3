import {
  add,
  type Callee,
  div,
  eq,
  extract,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  type ModuleBuilder,
  minOf,
  mul,
  op,
  rem,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { batchTable, type Product, toBatchElement } from "./product.ts";
import { constant, loadOne, multiplyAdd, type Real, sumLanes } from "./real.ts";
import { ceilDiv, defineWork, grainOf } from "./work.ts";

/** Rows of an item: their sums stay in the first cache. */
const blockRows = 512;
const dotRows = 4;
const dotVectors = 2;
const columnSteps = 4;
const columnVectors = 4;

/** y [rows] = M [rows, depth] x; an item is a block of rows of one batch element. */
const vector = (real: Real) =>
  defineWork({
    key: `gemm_vector_${real.name}`,
    buffers: ["matrix", "x", "y"],
    params: ["rows", "depth", "rowStep", "depthStep", "xStep", "rank", "blockRows", "blocks"],
    build(f, module, w, { begin, end }, table) {
      f.range(begin, end, 1, (item) => {
        const element = f.let(div(item, w.blocks));
        const first = f.let(mul(rem(item, w.blocks), w.blockRows));
        const count = f.let(minOf(w.blockRows, sub(w.rows, first)));
        const y = f.let(add(w.y, mul(add(mul(element, w.rows), first), real.bytes)));
        const [matrix, x] = [f.let(w.matrix), f.let(w.x)];
        toBatchElement(f, element, w.rank, table, matrix, x);
        f.set(matrix, add(matrix, mul(first, w.rowStep)));
        f.if(
          eq(w.rowStep, real.bytes),
          () => f.call(weightedColumns(module, real), matrix, w.depthStep, x, w.xStep, y, count, w.depth),
          () => f.call(dots(module, real), matrix, w.rowStep, w.depthStep, x, w.xStep, y, count, w.depth, w.own),
        );
      });
    },
  });

/** (matrix, depthStep, x, xStep, y, rows, depth): y = the sum of the columns, which are contiguous, times x. */
function weightedColumns(module: ModuleBuilder, real: Real): Callee {
  return module.once(`weighted columns ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, matrix, depthStep, x, xStep, y, rows, depth) => {
        f.do("memory.fill", y, i32(0), mul(rows, real.bytes));
        const k = f.local("i32");
        f.while(
          () => op("i32.le_s", add(k, columnSteps), depth),
          () => {
            addColumns(f, real, columnSteps, { matrix, depthStep, x, xStep, y, rows });
            f.set(k, add(k, columnSteps));
          },
        );
        f.for(k, depth, 1, () => addColumns(f, real, 1, { matrix, depthStep, x, xStep, y, rows }));
        return undefined;
      },
    ),
  );
}

type Columns = Readonly<Record<"matrix" | "depthStep" | "x" | "xStep" | "y" | "rows", Local>>;

/** Adds so many columns to y and goes behind them. */
function addColumns(
  f: FunctionBuilder,
  real: Real,
  count: number,
  { matrix, depthStep, x, xStep, y, rows }: Columns,
): void {
  const columns = Array.from({ length: count }, () => {
    const column = { weight: f.let(load(real.splat, x)), from: f.let(matrix) };
    f.set(x, add(x, xStep));
    f.set(matrix, add(matrix, depthStep));
    return column;
  });
  const to = f.let(y);
  const i = f.let(i32(0));
  const advance = (bytes: number) => {
    for (const { from } of columns) f.set(from, add(from, bytes));
    f.set(to, add(to, bytes));
  };
  for (const vectors of [columnVectors, 1])
    f.while(
      () => op("i32.le_s", add(i, vectors * real.lanes), rows),
      () => {
        for (let v = 0; v < vectors; v++) {
          const sum = f.let(load("v128.load", to, 16 * v));
          for (const { weight, from } of columns)
            f.set(sum, multiplyAdd(real, weight, load("v128.load", from, 16 * v), sum));
          f.store("v128.store", to, sum, 16 * v);
        }
        advance(16 * vectors);
        f.set(i, add(i, vectors * real.lanes));
      },
    );
  f.for(i, rows, 1, () => {
    const sum = f.let(load(real.first, to));
    for (const { weight, from } of columns) f.set(sum, multiplyAdd(real, weight, load(real.first, from), sum));
    f.store(`${real.name}.store`, to, extract(real.shape, sum, 0));
    advance(real.bytes);
  });
}

/** (matrix, rowStep, depthStep, x, xStep, y, rows, depth, own): y = the dot product of every row with x. */
function dots(module: ModuleBuilder, real: Real): Callee {
  return module.once(`dots ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, matrix, rowStep, depthStep, x, xStep, y, rows, depth, own) => {
        f.if(op("i32.ne", xStep, i32(real.bytes)), () => {
          const to = f.let(own);
          f.range(0, depth, 1, () => {
            f.store(`${real.name}.store`, to, loadOne(real, x));
            f.set(to, add(to, real.bytes));
            f.set(x, add(x, xStep));
          });
          f.set(x, own);
        });
        const whole = f.let(i32(0));
        f.if(eq(depthStep, real.bytes), () => f.set(whole, op("i32.and", depth, i32(-real.lanes * dotVectors))));
        const row = f.local("i32");
        const step = (count: number) => {
          dotProducts(f, real, count, { matrix, rowStep, depthStep, x, y, whole, depth });
          f.set(matrix, add(matrix, mul(rowStep, count)));
          f.set(y, add(y, count * real.bytes));
        };
        f.while(
          () => op("i32.le_s", add(row, dotRows), rows),
          () => {
            step(dotRows);
            f.set(row, add(row, dotRows));
          },
        );
        f.for(row, rows, 1, () => step(1));
        return undefined;
      },
    ),
  );
}

type Rows = Readonly<Record<"matrix" | "rowStep" | "depthStep" | "x" | "y" | "whole" | "depth", Local>>;

/** So many rows at once: vectors over the first `whole` elements, then one by one. */
function dotProducts(f: FunctionBuilder, real: Real, count: number, p: Rows): void {
  const rows = Array.from({ length: count }, (_, i) => ({
    from: f.let(i === 0 ? p.matrix : add(p.matrix, mul(p.rowStep, i))),
    sums: Array.from({ length: dotVectors }, () => f.let(op(`${real.shape}.splat`, constant(real, 0)))),
  }));
  const x = f.let(p.x);
  f.range(0, p.whole, real.lanes * dotVectors, () => {
    const right = Array.from({ length: dotVectors }, (_, v) => f.let(load("v128.load", x, 16 * v)));
    for (const { from, sums } of rows) {
      sums.forEach((sum, v) => {
        f.set(sum, multiplyAdd(real, load("v128.load", from, 16 * v), right[v], sum));
      });
      f.set(from, add(from, 16 * dotVectors));
    }
    f.set(x, add(x, 16 * dotVectors));
  });
  const totals = rows.map(({ sums }) => {
    const both = f.let(sums.slice(1).reduce<Value>((a, b) => op(`${real.shape}.add`, a, b), sums[0]));
    return f.let(sumLanes(real, both));
  });
  f.range(p.whole, p.depth, 1, () => {
    const right = f.let(loadOne(real, x));
    rows.forEach(({ from }, i) => {
      f.set(totals[i], op(`${real.name}.add`, totals[i], op(`${real.name}.mul`, loadOne(real, from), right)));
      f.set(from, add(from, p.depthStep));
    });
    f.set(x, add(x, real.bytes));
  });
  totals.forEach((total, i) => {
    f.store(`${real.name}.store`, p.y, total, i * real.bytes);
  });
}

/** Products of one row or one column, of `count` batch elements. */
export function vectorCalls(p: Product, count: number): readonly Call[] {
  const { real, m, n, k } = p;
  // One row: C^T = B^T A^T has one column.
  const column = n === 1;
  const rows = column ? m : n;
  const [matrix, x] = column ? [p.a, p.b] : [p.b, p.a];
  const [rowStep, depthStep] = column ? [matrix.row, matrix.column] : [matrix.column, matrix.row];
  const xStep = column ? x.row : x.column;
  const batch = column ? p.batch : p.batch.map(({ size, a, b }) => ({ size, a: b, b: a }));
  const blocks = ceilDiv(rows, blockRows);
  return [
    vector(real)({
      buffers: { matrix: matrix.place, x: x.place, y: p.c },
      params: {
        ...{ rows, depth: k, rank: p.batch.length, blockRows: ceilDiv(rows, blocks), blocks },
        ...{ rowStep: rowStep * real.bytes, depthStep: depthStep * real.bytes, xStep: xStep * real.bytes },
      },
      table: batchTable({ ...p, batch }),
      range: count * blocks,
      grain: grainOf(ceilDiv(rows, blocks) * k),
      threadBytes: k * real.bytes,
    }),
  ];
}
