import type { OpInstruction } from "../../../compiler/instruction.ts";
import {
  add,
  type Callee,
  call,
  div,
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
  select,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { f64Function } from "../f64-functions.ts";
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
  rowsAt,
  scaleOf,
  scalePanel,
  scorePitch,
} from "./attention-block.ts";
import { expWriter } from "./attention-exp.ts";
import { constant, loadOne, type Real, realOf, splat, sumLanes, tileColumns, tileRows } from "./real.ts";
import { runTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, placeOf, roundUp } from "./work.ts";

const packedParams = ["keyBlocks", "keyBytes", "valueBytes"] as const;

/**
 * Packs keys, transposed, and values of a block of keys of a batch element, an item, into shared memory: first the keys of
 * all batch elements, [batch][tile of keys][d][keys], then the values, [batch][block of keys][tile of columns][key][columns].
 */
const packing = (real: Real) =>
  defineWork({
    key: `attention_pack_${real.name}`,
    buffers: ["k", "v"],
    params: [...problemParams, ...packedParams, "batches"],
    build(f, module, w, { begin, end }, table) {
      const operands = { table, axes: w.axes };
      f.range(begin, end, 1, (item) => {
        const batch = f.let(div(item, w.keyBlocks));
        const key0 = f.let(mul(rem(item, w.keyBlocks), keyBlock));
        const keys = f.let(minOf(i32(keyBlock), sub(w.tk, key0)));
        const k = rowsAt(f, operands, 1, w.k, batch);
        const to = f.let(add(w.shared, add(mul(batch, w.keyBytes), mul(mul(key0, w.d), real.bytes))));
        packColumns(f, module, real, to, k, key0, keys, w.d);
        const v = rowsAt(f, operands, 2, w.v, batch);
        f.set(to, add(w.shared, add(mul(w.batches, w.keyBytes), mul(batch, w.valueBytes))));
        f.set(to, add(to, mul(mul(key0, w.valueWide), real.bytes)));
        packDepth(f, module, real, to, v, key0, keys, w.dv, keyBlock);
      });
    },
  });

/**
 * softmax(scale q k^T + mask) v without the matrix of weights in memory (Milakov and Gimelshein 2018; Dao et al. 2022): an
 * item takes a block of queries past all keys, with a running maximum and sum per query, and leaves the logarithm of the
 * sum for the gradient.
 */
const forward = (real: Real) => {
  const { bytes, name } = real;
  const width = tileColumns(real);
  return defineWork({
    key: `attention_${name}`,
    buffers: ["q", "mask", "out"],
    params: [...problemParams, ...packedParams, "batches", "queryBlocks"],
    build(f, module, w, { begin, end }, table) {
      const operands = { table, axes: w.axes };
      const scale = f.let(scaleOf(real, w.scaleLow, w.scaleHigh));
      const q = w.own;
      const scores = f.let(add(q, mul(w.d, queryBlock * bytes)));
      const sums = f.let(add(scores, queryBlock * scorePitch(real)));
      const sumPitch = f.let(mul(w.valueWide, bytes));
      /** Per query: the largest score, and the sum of exponentials lane by lane. */
      const state = f.let(add(sums, mul(sumPitch, queryBlock)));
      f.range(begin, end, 1, (item) => {
        const batch = f.let(div(item, w.queryBlocks));
        const query0 = f.let(mul(rem(item, w.queryBlocks), queryBlock));
        const queries = f.let(minOf(i32(queryBlock), sub(w.tq, query0)));
        packRows(f, module, real, q, rowsAt(f, operands, 0, w.q, batch), query0, queries, w.d);
        scalePanel(f, real, q, mul(queries, w.d), scale);
        const mask = rowsAt(f, operands, 3, w.mask, batch);
        f.do("memory.fill", sums, i32(0), mul(sumPitch, queryBlock));
        f.range(0, queries, 1, (i) => {
          const at = f.let(add(state, mul(i, 32)));
          f.store("v128.store", at, splat(real, constant(real, Number.NEGATIVE_INFINITY)));
          f.store("v128.store", at, splat(real, constant(real, 0)), 16);
        });
        const limit = f.let(select(w.causal, minOf(w.tk, add(query0, queries)), w.tk));
        f.range(0, limit, keyBlock, (key0) => {
          const keys = f.let(minOf(i32(keyBlock), sub(w.tk, key0)));
          const kPanels = f.let(add(w.shared, add(mul(batch, w.keyBytes), mul(mul(key0, w.d), bytes))));
          const vPanels = f.let(add(w.shared, add(mul(w.batches, w.keyBytes), mul(batch, w.valueBytes))));
          f.set(vPanels, add(vPanels, mul(mul(key0, w.valueWide), bytes)));
          const eachRows = (body: (i: Local, rows: Value) => void) =>
            f.range(0, queries, tileRows, (i) => body(i, minOf(i32(tileRows), sub(queries, i))));
          f.range(0, keys, width, (j) =>
            eachRows((i, rows) => {
              const tile = {
                ...{ a: add(q, mul(mul(i, w.d), bytes)), b: add(kPanels, mul(mul(j, w.d), bytes)) },
                ...{ c: add(scores, add(mul(i, scorePitch(real)), mul(j, bytes))), cStep: i32(scorePitch(real)) },
                ...{ depth: w.d, accumulate: i32(0) },
              };
              runTile(f, module, real, "packed packed", tile, rows, i32(width));
            }),
          );
          maskScores(f, module, real, {
            scores,
            queries,
            keys,
            query0,
            key0,
            causal: w.causal,
            kind: w.maskKind,
            mask,
          });
          f.call(softener(module, real), scores, state, queries, paddedKeys(real, keys), sums, sumPitch);
          f.range(0, w.dv, width, (j) =>
            eachRows((i, rows) => {
              const tile = {
                ...{ a: add(scores, mul(i, scorePitch(real))), aRow: i32(scorePitch(real)), aStep: i32(bytes) },
                ...{ b: add(vPanels, mul(j, keyBlock * bytes)), bStep: i32(width * bytes) },
                ...{
                  c: add(sums, add(mul(i, sumPitch), mul(j, bytes))),
                  cStep: sumPitch,
                  depth: keys,
                  accumulate: i32(1),
                },
              };
              runTile(f, module, real, "strided strided", tile, rows, i32(width));
            }),
          );
        });
        const first = f.let(add(mul(batch, w.tq), query0));
        const out = f.let(add(w.out, mul(mul(first, w.dv), bytes)));
        const logs = f.let(add(w.out, mul(add(mul(mul(w.batches, w.tq), w.dv), first), bytes)));
        finish(f, module, real, { sums, sumPitch, state, queries, dv: w.dv, out, logs });
      });
    },
  });
};

/**
 * (scores, state, queries, columns, sums, pitch): turns scores into weights relative to the running maximum, and scales
 * what has been summed up so far to it.
 */
function softener(module: ModuleBuilder, real: Real): Callee {
  const { bytes, lanes, shape, name } = real;
  return module.once(`soften ${name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, scores, state, queries, columns, sums, pitch) => {
        const exp = expWriter(f, module, real);
        const highest = f.local(name);
        const size = f.let(mul(columns, bytes));
        f.range(0, queries, 1, () => {
          const top = f.let(load("v128.load", scores));
          f.range(16, size, 16, (j) => f.set(top, op(`${shape}.max`, top, load("v128.load", add(scores, j)))));
          const before = f.let(loadOne(real, state));
          f.set(highest, before);
          for (let lane = 0; lane < lanes; lane++)
            f.set(highest, op(`${name}.max`, highest, extract(shape, top, lane)));
          const none = op(`${name}.eq`, highest, constant(real, Number.NEGATIVE_INFINITY));
          const shift = f.let(splat(real, select(none, constant(real, 0), highest)));
          const total = f.let(splat(real, constant(real, 0)));
          f.range(0, size, 16, (j) => {
            const at = f.let(add(scores, j));
            const weight = f.let(exp(op(`${shape}.sub`, load("v128.load", at), shift)));
            f.store("v128.store", at, weight);
            f.set(total, op(`${shape}.add`, total, weight));
          });
          const sum = f.let(load("v128.load", state, 16));
          f.if(op(`${name}.ne`, highest, before), () => {
            const keep = f.let(exp(op(`${shape}.sub`, splat(real, before), shift)));
            f.set(sum, op(`${shape}.mul`, sum, keep));
            f.range(0, pitch, 16, (j) => {
              const at = f.let(add(sums, j));
              f.store("v128.store", at, op(`${shape}.mul`, load("v128.load", at), keep));
            });
          });
          f.store(`${name}.store`, state, highest);
          f.store("v128.store", state, op(`${shape}.add`, sum, total), 16);
          f.set(scores, add(scores, scorePitch(real)));
          f.set(state, add(state, 32));
          f.set(sums, add(sums, pitch));
        });
        return undefined;
      },
    ),
  );
}

type Finished = Readonly<Record<"sums" | "sumPitch" | "state" | "queries" | "dv" | "out" | "logs", Local>>;

/** Divides by the sums of exponentials and stores their logarithms; a query that sees no key gives 0. */
function finish(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: Finished): void {
  const { bytes, name } = real;
  const log = (x: Value) =>
    name === "f32"
      ? op("f32.demote_f64", call(f64Function(module, "log"), op("f64.promote_f32", x)))
      : call(f64Function(module, "log"), x);
  f.range(0, p.queries, 1, (i) => {
    const at = f.let(add(p.state, mul(i, 32)));
    const total = f.let(sumLanes(real, f.let(load("v128.load", at, 16))));
    const none = f.let(op(`${name}.eq`, total, constant(real, 0)));
    const inverse = f.let(select(none, constant(real, 0), op(`${name}.div`, constant(real, 1), total)));
    f.store(`${name}.store`, p.logs, select(none, constant(real, 0), op(`${name}.add`, loadOne(real, at), log(total))));
    f.set(p.logs, add(p.logs, bytes));
    const from = f.let(add(p.sums, mul(i, p.sumPitch)));
    f.range(0, p.dv, 1, () => {
      f.store(`${name}.store`, p.out, op(`${name}.mul`, loadOne(real, from), inverse));
      f.set(from, add(from, bytes));
      f.set(p.out, add(p.out, bytes));
    });
  });
}

/** attention_*: q, k, v, perhaps a mask -> out [batches, tq, dv], then the logarithms of the sums [batches, tq]. */
export function attentionCalls(instruction: OpInstruction): readonly Call[] {
  const real = realOf(instruction.name.slice("attention_".length));
  const problem = attentionProblem(instruction, real, false);
  const { batches, tq, tk, d, dv, maskKind } = problem;
  if (batches * tq === 0) return [];
  const [q, k, v] = [0, 1, 2].map((i) => placeOf(instruction, i));
  const [queryBlocks, keyBlocks] = [ceilDiv(tq, queryBlock), ceilDiv(tk, keyBlock)];
  const table = attentionTable(problem);
  const keyBytes = keyBlocks * keyBlock * d * real.bytes;
  const valueBytes = keyBlocks * keyBlock * problem.valueWide * real.bytes;
  const params = { ...problem, keyBlocks, keyBytes, valueBytes };
  const own = queryBlock * ((d + keyBlock + problem.valueWide) * real.bytes + 32);
  return [
    packing(real)({
      ...{ buffers: { k, v }, params, table },
      range: batches * keyBlocks,
      grain: grainOf(4 * keyBlock * (d + dv)),
      sharedBytes: batches * (keyBytes + valueBytes),
    }),
    forward(real)({
      buffers: { q, mask: maskKind ? placeOf(instruction, 3) : q, out: placeOf(instruction, maskKind ? 4 : 3) },
      params: { ...params, queryBlocks },
      table,
      range: batches * queryBlocks,
      grain: grainOf(Math.min(tq, queryBlock) * tk * (d + dv + 8)),
      threadBytes: roundUp(own, 16),
    }),
  ];
}
