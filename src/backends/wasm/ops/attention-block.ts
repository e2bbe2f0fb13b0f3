import type { OpInstruction } from "../../../compiler/instruction.ts";
import * as literal from "../assembler.ts";
import {
  add,
  type Callee,
  div,
  eq,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  lt,
  type ModuleBuilder,
  minOf,
  mul,
  op,
  rem,
  select,
  sub,
  type Value,
} from "../assembler.ts";
import { panelPacker } from "./pack.ts";
import { constant, loadOne, type Real, splat, tileColumns, tileRows } from "./real.ts";
import { roundUp } from "./work.ts";

/** Queries and keys of a block of scores: multiples of the rows and of the columns of a tile. */
export const queryBlock = 48;
export const keyBlock = 64;

/** Bytes from one row of a block of scores to the next. */
export const scorePitch = (real: Real): number => keyBlock * real.bytes;

/** Sizes and settings of attention; see `attention` in the compiler for the parameters. */
export interface AttentionProblem {
  readonly axes: number;
  readonly batch: readonly number[];
  readonly batches: number;
  readonly tq: number;
  readonly tk: number;
  readonly d: number;
  readonly dv: number;
  /** Widths in whole tiles. */
  readonly wide: number;
  readonly valueWide: number;
  readonly causal: number;
  /** 0 none, 1 bool, 2 added. */
  readonly maskKind: number;
  /** The bits of the scale. */
  readonly scaleLow: number;
  readonly scaleHigh: number;
  /** Batch axes, row and column of q, k, v, the mask, and of the cotangent if there is one, in bytes. */
  readonly strides: readonly (readonly number[])[];
}

/** The sizes and settings that every work function takes. */
export const problemParams = [
  "axes",
  "tq",
  "tk",
  "d",
  "dv",
  "wide",
  "valueWide",
  "causal",
  "maskKind",
  "scaleLow",
  "scaleHigh",
] as const;

export function attentionProblem({ params }: OpInstruction, real: Real, gradient: boolean): AttentionProblem {
  const [axes, ...rest] = params;
  const batch = rest.slice(0, axes);
  const [tq, tk, d, dv, causal, maskKind, high, low, ...steps] = rest.slice(axes);
  const bits = new DataView(new ArrayBuffer(8));
  bits.setUint32(0, high);
  bits.setUint32(4, low);
  if (real.name === "f32") bits.setFloat32(4, bits.getFloat64(0));
  const take = (count: number, bytes: number) => steps.splice(0, count).map((step) => step * bytes);
  const strides = [0, 1, 2].map(() => take(axes + 2, real.bytes));
  strides.push(maskKind ? take(axes + 2, maskKind === 1 ? 1 : real.bytes) : new Array(axes + 2).fill(0));
  if (gradient) strides.push(take(axes + 2, real.bytes));
  const width = tileColumns(real);
  return {
    ...{ axes, batch, tq, tk, d, dv, causal, maskKind, strides },
    batches: batch.reduce((a, b) => a * b, 1),
    ...{ wide: roundUp(d, width), valueWide: roundUp(dv, width) },
    ...{ scaleLow: bits.getInt32(4), scaleHigh: bits.getInt32(0) },
  };
}

/** Sizes of the batch axes, then the strides of every operand. */
export const attentionTable = ({ batch, strides }: AttentionProblem): number[] => [...batch, ...strides.flat()];

/** What `operandAt` reads the table by. */
export interface Operands {
  readonly table: Value;
  readonly axes: Local;
}

/** An operand at an element of the batch: its address, and its steps from row to row and from column to column. */
export interface Rows {
  readonly at: Local;
  readonly row: Local;
  readonly column: Local;
}

/** Operand `i` of the table at element `batch` of the batch. */
export function rowsAt(f: FunctionBuilder, { table, axes }: Operands, i: number, base: Value, batch: Value): Rows {
  const at = f.let(base);
  const steps = f.let(add(table, mul(add(axes, mul(add(axes, 2), i)), 4)));
  const index = f.let(batch);
  const axis = f.let(axes);
  f.while(
    () => axis,
    () => {
      f.set(axis, sub(axis, 1));
      const size = f.let(load("i32.load", add(table, mul(axis, 4))));
      f.set(at, add(at, mul(rem(index, size), load("i32.load", add(steps, mul(axis, 4))))));
      f.set(index, div(index, size));
    },
  );
  const last = f.let(add(steps, mul(axes, 4)));
  return { at, row: f.let(load("i32.load", last)), column: f.let(load("i32.load", last, 4)) };
}

/** The scale from its bits. */
export const scaleOf = (real: Real, low: Value, high: Value): Value =>
  real.name === "f32"
    ? op("f32.reinterpret_i32", low)
    : op(
        "f64.reinterpret_i64",
        op("i64.or", op("i64.extend_i32_u", low), op("i64.shl", op("i64.extend_i32_u", high), literal.i64(32n))),
      );

/** Rows [first, first + count) as panels [tile of rows][width][rows]: the left factor of a product over the width. */
export function packRows(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  to: Value,
  x: Rows,
  first: Value,
  count: Value,
  width: Value,
): void {
  const pack = panelPacker(module, real, tileRows, true);
  f.range(0, count, tileRows, (i) => {
    const from = add(x.at, mul(add(first, i), x.row));
    f.call(
      pack,
      add(to, mul(mul(i, width), real.bytes)),
      from,
      x.row,
      x.column,
      minOf(i32(tileRows), sub(count, i)),
      width,
    );
  });
}

/** Multiplies `count` neighbours, of whole vectors or less, by a factor; what lies behind the last may change. */
export function scalePanel(f: FunctionBuilder, real: Real, at: Value, count: Value, factor: Value): void {
  const all = f.let(splat(real, factor));
  f.range(0, count, real.lanes, (i) => {
    const place = f.let(add(at, mul(i, real.bytes)));
    f.store("v128.store", place, op(`${real.shape}.mul`, load("v128.load", place), all));
  });
}

/** The same rows as panels [tile of rows][width][columns of a tile]: the right factor, transposed. */
export function packColumns(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  to: Value,
  x: Rows,
  first: Value,
  count: Value,
  width: Value,
): void {
  const lanes = tileColumns(real);
  const pack = panelPacker(module, real, lanes, false);
  f.range(0, count, lanes, (i) => {
    const from = add(x.at, mul(add(first, i), x.row));
    f.call(
      pack,
      add(to, mul(mul(i, width), real.bytes)),
      from,
      x.row,
      x.column,
      minOf(i32(lanes), sub(count, i)),
      width,
    );
  });
}

/** The same rows as panels [tile of columns][pitch][columns of a tile]: the right factor of a product over the rows. */
export function packDepth(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  to: Value,
  x: Rows,
  first: Value,
  count: Value,
  width: Value,
  pitch: number,
): void {
  const lanes = tileColumns(real);
  const pack = panelPacker(module, real, lanes, false);
  const source = f.let(add(x.at, mul(first, x.row)));
  f.range(0, width, lanes, (j) => {
    const panel = add(to, mul(j, pitch * real.bytes));
    f.call(pack, panel, add(source, mul(j, x.column)), x.column, x.row, minOf(i32(lanes), sub(width, j)), count);
  });
}

/** Where a block of scores lies in the problem, and how its mask lies. */
export interface Block {
  readonly scores: Value;
  readonly queries: Value;
  readonly keys: Value;
  readonly query0: Value;
  readonly key0: Value;
  readonly causal: Value;
  readonly kind: Value;
  readonly mask: Rows;
}

/** Adds the mask to a block of scores, and hides what is masked, comes later, or is no key. */
export function maskScores(f: FunctionBuilder, module: ModuleBuilder, real: Real, b: Block): void {
  const { at, row, column } = b.mask;
  const first = add(at, add(mul(b.query0, row), mul(b.key0, column)));
  f.call(
    scoreMasker(module, real),
    b.scores,
    b.queries,
    b.keys,
    b.query0,
    b.key0,
    b.causal,
    b.kind,
    first,
    row,
    column,
  );
}

function scoreMasker(module: ModuleBuilder, real: Real): Callee {
  const { bytes, name } = real;
  return module.once(`mask scores ${name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, scores, queries, keys, query0, key0, causal, kind, mask, maskRow, maskColumn) => {
        const padded = f.let(paddedKeys(real, keys));
        const hidden = constant(real, Number.NEGATIVE_INFINITY);
        f.range(0, queries, 1, (i) => {
          const place = (j: Value) => add(scores, mul(j, bytes));
          f.if(kind, () =>
            f.range(0, keys, 1, (j) => {
              const at = f.let(place(j));
              const given = f.let(add(mask, mul(j, maskColumn)));
              const score = loadOne(real, at);
              f.if(
                eq(kind, 1),
                () => f.store(`${name}.store`, at, select(load("i32.load8_u", given), score, hidden)),
                () => f.store(`${name}.store`, at, op(`${name}.add`, score, loadOne(real, given))),
              );
            }),
          );
          const after = f.let(sub(add(add(query0, i), 1), key0));
          const seen = f.let(select(op("i32.and", causal, lt(after, keys)), after, keys));
          f.range(select(lt(seen, 0), i32(0), seen), padded, 1, (j) => f.store(`${name}.store`, place(j), hidden));
          f.set(scores, add(scores, scorePitch(real)));
          f.set(mask, add(mask, maskRow));
        });
        return undefined;
      },
    ),
  );
}

/** Keys of a block in whole tiles of columns. */
export const paddedKeys = (real: Real, keys: Value): Value =>
  op("i32.and", add(keys, tileColumns(real) - 1), i32(-tileColumns(real)));
