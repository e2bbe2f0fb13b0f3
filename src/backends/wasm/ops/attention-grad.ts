import type { OpInstruction } from "../../../compiler/instruction.ts";
import {
  add,
  type Callee,
  div,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  type ModuleBuilder,
  minOf,
  mul,
  op,
  rem,
  select,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import {
  attentionProblem,
  attentionTable,
  keyBlock,
  maskScores,
  packColumns,
  packDepth,
  packRows,
  paddedKeys,
  problemParams,
  queryBlock,
  type Rows,
  rowsAt,
  scaleOf,
  scalePanel,
  scorePitch,
} from "./attention-block.ts";
import { expWriter } from "./attention-exp.ts";
import { constant, loadOne, type Real, realOf, splat, tileColumns, tileRows } from "./real.ts";
import { sumPartsCall } from "./sum-parts.ts";
import { runTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, placeOf, roundUp } from "./work.ts";

/** With so few batch elements an item takes a part of the keys of one, with sums of dq of its own. */
const fewBatches = 8;
const keyParts = 4;

/** Parts of an item's own memory; per query and per element of the width if not said otherwise. */
const areas = [
  "q", // rows: left factor of the scores
  "qDepth", // the same as the right factor of dk
  "ct", // the cotangent likewise
  "ctDepth",
  "dots", // of the cotangent and the output, one per query
  "dq",
  "k", // of a block of keys: right factor of the scores
  "kDepth", // and of dq
  "v",
  "dk",
  "dv",
  "weights", // [queryBlock, keyBlock]
  "slopes",
] as const;

type Area = (typeof areas)[number];

function areaSizes(
  tq: number,
  { d, dv, wide, valueWide }: { d: number; dv: number; wide: number; valueWide: number },
): Record<Area, number> {
  const queries = roundUp(tq, queryBlock);
  const block = queryBlock * keyBlock;
  return {
    ...{
      q: roundUp(tq * d, 4),
      qDepth: queries * wide,
      ct: tq * dv,
      ctDepth: queries * valueWide,
      dots: queries,
      dq: queries * wide,
    },
    ...{ k: keyBlock * d, kDepth: keyBlock * wide, v: keyBlock * dv, dk: keyBlock * wide, dv: keyBlock * valueWide },
    ...{ weights: block, slopes: block },
  };
}

/** A product of blocks: C [rows, columns] (+)= A B over `depth`; columns in whole tiles, pitches in bytes. */
interface BlockProduct {
  readonly rows: Value;
  readonly columns: Value;
  readonly depth: Value;
  readonly c: Value;
  readonly pitch: Value;
  readonly accumulate: boolean;
}

/** Scores and the like: both factors are packed over the width, which is the depth. */
function productOverWidth(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  a: Value,
  b: Value,
  p: BlockProduct,
): void {
  eachTile(f, real, p, (i, j, rows, c) => {
    const tile = { a: add(a, mul(mul(i, p.depth), real.bytes)), b: add(b, mul(mul(j, p.depth), real.bytes)), c };
    const rest = { cStep: p.pitch, depth: p.depth, accumulate: i32(Number(p.accumulate)) };
    runTile(f, module, real, "packed packed", { ...tile, ...rest }, rows, i32(tileColumns(real)));
  });
}

/** Products with a block of scores, or its transpose, on the left; the right factor has panels of `panel` rows. */
function productWithScores(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  a: Value,
  transposed: boolean,
  b: Value,
  panel: number,
  p: BlockProduct,
): void {
  const width = tileColumns(real);
  const [aRow, aStep] = transposed ? [real.bytes, scorePitch(real)] : [scorePitch(real), real.bytes];
  eachTile(f, real, p, (i, j, rows, c) => {
    const tile = { a: add(a, mul(i, aRow)), aRow: i32(aRow), aStep: i32(aStep), c };
    const rest = { b: add(b, mul(j, panel * real.bytes)), bStep: i32(width * real.bytes) };
    const sum = { cStep: p.pitch, depth: p.depth, accumulate: i32(Number(p.accumulate)) };
    runTile(f, module, real, "strided strided", { ...tile, ...rest, ...sum }, rows, i32(width));
  });
}

function eachTile(
  f: FunctionBuilder,
  real: Real,
  { rows, columns, c, pitch }: BlockProduct,
  tile: (i: Local, j: Local, rows: Value, c: Value) => void,
): void {
  f.range(0, columns, tileColumns(real), (j) =>
    f.range(0, rows, tileRows, (i) =>
      tile(i, j, minOf(i32(tileRows), sub(rows, i)), add(c, add(mul(i, pitch), mul(j, real.bytes)))),
    ),
  );
}

/** An item is a part of the keys of a batch element, past all queries; the weights are computed again, block by block. */
const backward = (real: Real) => {
  const { bytes } = real;
  return defineWork({
    key: `attention_grad_${real.name}`,
    buffers: ["q", "k", "v", "mask", "saved", "ct", "out"],
    params: [...problemParams, "batches", "parts", "keyBlocks", ...areas.map((area) => `${area}At` as const)],
    build(f, module, w, { begin, end }, table) {
      const operands = { table, axes: w.axes };
      const scale = f.let(scaleOf(real, w.scaleLow, w.scaleHigh));
      const one = constant(real, 1);
      const own = (area: Area, element: Value = i32(0)) => add(w.own, add(w[`${area}At`], mul(element, bytes)));
      const [pitch, valuePitch] = [w.wide, w.valueWide].map((width) => f.let(mul(width, bytes)));
      const totalQ = f.let(mul(mul(w.batches, w.tq), w.d));
      const totalK = f.let(mul(mul(w.batches, w.tk), w.d));
      f.range(begin, end, 1, (item) => {
        const batch = f.let(div(item, w.parts));
        const part = f.let(rem(item, w.parts));
        const rows = (i: number, base: Value): Rows => rowsAt(f, operands, i, base, batch);
        const [q, k, v, mask, ct] = [w.q, w.k, w.v, w.mask, w.ct].map((base, i) => rows(i, base));
        packRows(f, module, real, own("q"), q, i32(0), w.tq, w.d);
        scalePanel(f, real, own("q"), mul(w.tq, w.d), scale);
        packRows(f, module, real, own("ct"), ct, i32(0), w.tq, w.dv);
        f.range(0, w.tq, queryBlock, (first) => {
          const count = f.let(minOf(i32(queryBlock), sub(w.tq, first)));
          packDepth(f, module, real, own("qDepth", mul(first, w.wide)), q, first, count, w.d, queryBlock);
          packDepth(f, module, real, own("ctDepth", mul(first, w.valueWide)), ct, first, count, w.dv, queryBlock);
        });
        const saved = f.let(add(w.saved, mul(mul(mul(batch, w.tq), w.dv), bytes)));
        dotRows(f, real, { to: f.let(own("dots")), ct, out: saved, tq: w.tq, dv: w.dv });
        const logs = f.let(add(w.saved, mul(add(mul(mul(w.batches, w.tq), w.dv), mul(batch, w.tq)), bytes)));
        f.do("memory.fill", own("dq"), i32(0), mul(w.tq, pitch));
        const cut = (i: Value) => f.let(mul(div(mul(w.keyBlocks, i), w.parts), keyBlock));
        const [begun, ended] = [cut(part), cut(add(part, 1))];
        f.range(begun, minOf(ended, w.tk), keyBlock, (key0) => {
          const keys = f.let(minOf(i32(keyBlock), sub(w.tk, key0)));
          const columns = f.let(paddedKeys(real, keys));
          packColumns(f, module, real, own("k"), k, key0, keys, w.d);
          packDepth(f, module, real, own("kDepth"), k, key0, keys, w.d, keyBlock);
          packColumns(f, module, real, own("v"), v, key0, keys, w.dv);
          f.do("memory.fill", own("dk"), i32(0), mul(pitch, keyBlock));
          f.do("memory.fill", own("dv"), i32(0), mul(valuePitch, keyBlock));
          // Queries before the first key of the block do not see it.
          const seen = select(w.causal, mul(div(key0, queryBlock), queryBlock), i32(0));
          f.range(seen, w.tq, queryBlock, (query0) => {
            const queries = f.let(minOf(i32(queryBlock), sub(w.tq, query0)));
            const [weights, slopes] = [f.let(own("weights")), f.let(own("slopes"))];
            const block = { rows: queries, columns, pitch: i32(scorePitch(real)), accumulate: false };
            productOverWidth(f, module, real, own("q", mul(query0, w.d)), own("k"), {
              ...block,
              depth: w.d,
              c: weights,
            });
            productOverWidth(f, module, real, own("ct", mul(query0, w.dv)), own("v"), {
              ...block,
              depth: w.dv,
              c: slopes,
            });
            maskScores(f, module, real, {
              scores: weights,
              queries,
              keys,
              query0,
              key0,
              causal: w.causal,
              kind: w.maskKind,
              mask,
            });
            const perQuery = [add(logs, mul(query0, bytes)), own("dots", query0)];
            f.call(sloper(module, real), weights, slopes, ...perQuery, queries, columns);
            const sum = { accumulate: true };
            const qd = own("qDepth", mul(query0, w.wide));
            const ctd = own("ctDepth", mul(query0, w.valueWide));
            const ofKeys = { ...sum, rows: keys, depth: queries };
            productWithScores(f, module, real, weights, true, ctd, queryBlock, {
              ...ofKeys,
              columns: w.valueWide,
              c: own("dv"),
              pitch: valuePitch,
            });
            productWithScores(f, module, real, slopes, true, qd, queryBlock, {
              ...ofKeys,
              columns: w.wide,
              c: own("dk"),
              pitch,
            });
            const dq = own("dq", mul(query0, w.wide));
            productWithScores(f, module, real, slopes, false, own("kDepth"), keyBlock, {
              ...sum,
              rows: queries,
              depth: keys,
              columns: w.wide,
              c: dq,
              pitch,
            });
          });
          const row = f.let(add(mul(batch, w.tk), key0));
          const [dk, dv] = [f.let(add(totalQ, mul(row, w.d))), f.let(add(add(totalQ, totalK), mul(row, w.dv)))];
          f.call(rowStorer(module, real), add(w.out, mul(dk, bytes)), own("dk"), pitch, keys, w.d, scale);
          f.call(rowStorer(module, real), add(w.out, mul(dv, bytes)), own("dv"), valuePitch, keys, w.dv, one);
        });
        // Several parts leave sums that are added up afterwards.
        const partial = add(w.shared, mul(mul(part, totalQ), bytes));
        const target = select(op("i32.gt_u", w.parts, i32(1)), partial, w.out);
        const to = add(target, mul(mul(mul(batch, w.tq), w.d), bytes));
        f.call(rowStorer(module, real), to, own("dq"), pitch, w.tq, w.d, scale);
      });
    },
  });
};

interface Dots {
  readonly to: Local;
  readonly ct: Rows;
  readonly out: Local;
  readonly tq: Local;
  readonly dv: Local;
}

/** The dot product of the cotangent and the output of every query. */
function dotRows(f: FunctionBuilder, real: Real, { to, ct, out, tq, dv }: Dots): void {
  const { name, bytes } = real;
  f.range(0, tq, 1, (i) => {
    const at = f.let(add(ct.at, mul(i, ct.row)));
    const total = f.let(constant(real, 0));
    f.range(0, dv, 1, () => {
      f.set(total, op(`${name}.add`, total, op(`${name}.mul`, loadOne(real, at), loadOne(real, out))));
      f.set(at, add(at, ct.column));
      f.set(out, add(out, bytes));
    });
    f.store(`${name}.store`, to, total);
    f.set(to, add(to, bytes));
  });
}

/** (weights, slopes, logs, dots, queries, columns): weights from scores, and their slopes from ct v^T. */
function sloper(module: ModuleBuilder, real: Real): Callee {
  const { bytes, shape, name } = real;
  return module.once(`slopes ${name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, weights, slopes, logs, dots, queries, columns) => {
        const exp = expWriter(f, module, real);
        const size = f.let(mul(columns, bytes));
        f.range(0, queries, 1, () => {
          const [shift, dot] = [logs, dots].map((at) => f.let(load(real.splat, at)));
          f.range(0, size, 16, (j) => {
            const [at, slope] = [f.let(add(weights, j)), f.let(add(slopes, j))];
            const weight = f.let(exp(op(`${shape}.sub`, load("v128.load", at), shift)));
            f.store("v128.store", at, weight);
            f.store("v128.store", slope, op(`${shape}.mul`, weight, op(`${shape}.sub`, load("v128.load", slope), dot)));
          });
          f.set(weights, add(weights, scorePitch(real)));
          f.set(slopes, add(slopes, scorePitch(real)));
          f.set(logs, add(logs, bytes));
          f.set(dots, add(dots, bytes));
        });
        return undefined;
      },
    ),
  );
}

/** (to, from, pitch, rows, width, scale): dense rows from rows of whole tiles, scaled. */
function rowStorer(module: ModuleBuilder, real: Real): Callee {
  const { bytes, lanes, shape, name } = real;
  return module.once(`store rows ${name}`, () =>
    module.function(null, ["i32", "i32", "i32", "i32", "i32", name], null, (f, to, from, pitch, rows, width, scale) => {
      const factor = f.let(splat(real, scale));
      f.range(0, rows, 1, () => {
        const j = f.let(i32(0));
        const places = () => [to, from].map((base) => add(base, mul(j, bytes)));
        f.while(
          () => op("i32.le_s", add(j, lanes), width),
          () => {
            const [target, source] = places();
            f.store("v128.store", target, op(`${shape}.mul`, load("v128.load", source), factor));
            f.set(j, add(j, lanes));
          },
        );
        f.for(j, width, 1, () => {
          const [target, source] = places();
          f.store(`${name}.store`, target, op(`${name}.mul`, loadOne(real, source), scale));
        });
        f.set(to, add(to, mul(width, bytes)));
        f.set(from, add(from, pitch));
      });
      return undefined;
    }),
  );
}

/** attention_grad_*: q, k, v, perhaps a mask, the result of attention, the cotangent -> dq, dk, dv, one after the other. */
export function attentionGradCalls(instruction: OpInstruction): readonly Call[] {
  const real = realOf(instruction.name.slice("attention_grad_".length));
  const problem = attentionProblem(instruction, real, true);
  const { batches, tq, tk, d, dv, maskKind } = problem;
  if (batches === 0) return [];
  const keyBlocks = ceilDiv(tk, keyBlock);
  const parts = batches < fewBatches ? Math.max(1, Math.min(keyParts, keyBlocks)) : 1;
  let top = 0;
  const offsets = Object.entries(areaSizes(tq, problem)).map(([area, size]) => {
    const at = top;
    top = roundUp(at + size * real.bytes, 16);
    return [`${area}At`, at] as const;
  });
  const [q, k, v] = [0, 1, 2].map((i) => placeOf(instruction, i));
  const [saved, ct, out] = [0, 1, 2].map((i) => placeOf(instruction, (maskKind ? 4 : 3) + i));
  const total = batches * tq * d;
  const calls = [
    backward(real)({
      buffers: { q, k, v, mask: maskKind ? placeOf(instruction, 3) : q, saved, ct, out },
      params: { ...problem, parts, keyBlocks, ...(Object.fromEntries(offsets) as Record<`${Area}At`, number>) },
      table: attentionTable(problem),
      range: batches * parts,
      grain: grainOf((tq * tk * (3 * d + 2 * dv)) / parts),
      sharedBytes: parts > 1 ? parts * total * real.bytes : 0,
      threadBytes: top,
    }),
  ];
  if (parts > 1 && total > 0) calls.push(sumPartsCall(real, out, total, parts));
  return calls;
}
