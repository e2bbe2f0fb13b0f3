import {
  add,
  type Callee,
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
  select,
  sub,
  type Value,
} from "../assembler.ts";
import { boxWord } from "./conv-box.ts";
import { multiplyAdd, type Real, tileRows } from "./real.ts";
import { runTile } from "./tile.ts";

/** Bytes of a column in the list: where it begins in the box and in the output. */
export const columnBytes = 8;

/**
 * (to, range, part, table, images, imageBox, outImage): lists the vectors of positions of one part, row by row; the last one
 * of a row begins within the one before it, unless the row is shorter than a vector. Returns their number.
 */
export function columnLister(module: ModuleBuilder, real: Real): Callee {
  return module.once(`list columns ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      "i32",
      (f, to, range, part, table, images, imageBox, outImage) => {
        const [boxAt, outAt, z, y, x] = [0, 1, 2, 3, 4].map((i) => f.let(load("i32.load", range, 4 * i)));
        const [outZ, outY, outX] = [1, 2, 3].map((i) => f.let(load("i32.load", part, 4 * i)));
        const [boxZ, boxY] = ["pitchZ", "pitchY"].map((name) => f.let(load("i32.load", table, 4 * boxWord(name))));
        const last = f.let(sub(x, real.lanes));
        f.set(last, select(lt(last, 0), i32(0), last));
        const start = f.let(to);
        f.range(0, images, 1, (image) => {
          f.range(0, z, 1, (iz) => {
            const from = f.let(add(boxAt, add(mul(image, imageBox), mul(iz, boxZ))));
            const out = f.let(add(outAt, add(mul(image, outImage), mul(iz, outZ))));
            f.range(0, y, 1, () => {
              f.range(0, x, real.lanes, (ix) => {
                const at = f.let(minOf(ix, last));
                f.store("i32.store", to, add(from, mul(at, real.bytes)));
                f.store("i32.store", to, add(out, mul(at, outX)), 4);
                f.set(to, add(to, columnBytes));
              });
              f.set(from, add(from, boxY));
              f.set(out, add(out, outY));
            });
          });
        });
        return op("i32.shr_u", sub(to, start), i32(3));
      },
    ),
  );
}

/** What the tiles of one part of an item are computed from. */
export type Tiles = Readonly<
  Record<
    | "base"
    | "columns"
    | "count"
    | "weights"
    | "index"
    | "depth"
    | "slice"
    | "out"
    | "row0"
    | "row1"
    | "outChannel"
    | "sums",
    Local
  >
>;

/** Columns of a thin tile: vectors of a single row. */
const thinVectors = 8;

/** Outputs that are whole vectors: tiles are stored where they belong. */
export function directTiles(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: Tiles): void {
  f.if(
    eq(sub(p.row1, p.row0), 1),
    () => thinTiles(f, module, real, p, p.out, false),
    () =>
      eachTile(f, p, (row, rows, j, vectors) => {
        const [b, b1] = places(f, p, j, vectors, 0);
        const [c, c1] = places(f, p, j, vectors, 4);
        const out = f.let(add(p.out, mul(row, p.outChannel)));
        const operands = {
          ...{ a: add(p.weights, mul(mul(row, p.depth), real.bytes)), b: add(p.base, b), b1: add(p.base, b1) },
          ...{
            bIndex: p.index,
            c: add(out, c),
            c1: add(out, c1),
            cStep: p.outChannel,
            depth: p.depth,
            accumulate: i32(0),
          },
        };
        runTile(f, module, real, "packed indexed", operands, rows, mul(vectors, real.lanes));
      }),
  );
}

/**
 * The same where outputs lie apart, or rows are shorter than vectors, or the depth is too long for a cache: the sums of a
 * tile of rows stand aside, and go to their places when they are complete.
 */
export function asideTiles(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  p: Tiles,
  xStep: Local,
  lanes: Local,
): void {
  const pitch = f.let(mul(op("i32.and", add(p.count, 1), i32(-2)), 16));
  f.range(p.row0, p.row1, tileRows, (row) => {
    const rows = f.let(minOf(i32(tileRows), sub(p.row1, row)));
    f.if(
      eq(sub(p.row1, p.row0), 1),
      () => thinTiles(f, module, real, p, p.sums, true),
      () =>
        f.range(0, p.depth, p.slice, (k) => {
          const depth = f.let(minOf(p.slice, sub(p.depth, k)));
          const a = f.let(add(p.weights, mul(add(mul(row, p.depth), mul(k, rows)), real.bytes)));
          f.range(0, p.count, 2, (j) => {
            const vectors = f.let(minOf(i32(2), sub(p.count, j)));
            const [b, b1] = places(f, p, j, vectors, 0);
            const c = f.let(add(p.sums, mul(j, 16)));
            const operands = {
              ...{ a, b: add(p.base, b), b1: add(p.base, b1), bIndex: add(p.index, mul(k, 4)) },
              ...{ c, c1: add(c, 16), cStep: pitch, depth, accumulate: op("i32.ne", k, i32(0)) },
            };
            runTile(f, module, real, "packed indexed", operands, rows, mul(vectors, real.lanes));
          });
        }),
    );
    // No step at all gives zeros.
    f.if(op("i32.eqz", p.depth), () => f.do("memory.fill", p.sums, i32(0), mul(pitch, tileRows)));
    const out = add(p.out, mul(row, p.outChannel));
    f.call(scatter(module, real), p.sums, pitch, p.columns, p.count, out, p.outChannel, xStep, rows, lanes);
  });
}

/** Every tile of rows with every pair of listed columns, of which the last may be one alone. */
function eachTile(
  f: FunctionBuilder,
  p: Tiles,
  tile: (row: Local, rows: Local, j: Local, vectors: Local) => void,
): void {
  f.range(p.row0, p.row1, tileRows, (row) => {
    const rows = f.let(minOf(i32(tileRows), sub(p.row1, row)));
    f.range(0, p.count, 2, (j) => tile(row, rows, j, f.let(minOf(i32(2), sub(p.count, j)))));
  });
}

/** Where columns j and j + 1 begin, in the box (word 0) or in the output (word 4); twice the same if one is alone. */
function places(f: FunctionBuilder, p: Tiles, j: Value, vectors: Value, word: number): [Value, Value] {
  const at = f.let(add(p.columns, mul(j, columnBytes)));
  const second = add(at, mul(sub(vectors, 1), columnBytes));
  return [load("i32.load", at, word), load("i32.load", second, word)];
}

/** One row, many columns at once. `aside`: the sums stand one behind the other at `out`. */
function thinTiles(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: Tiles, out: Local, aside: boolean): void {
  const weights = f.let(add(p.weights, mul(mul(p.row0, p.depth), real.bytes)));
  const to = f.let(aside ? out : add(out, mul(p.row0, p.outChannel)));
  f.range(0, p.count, thinVectors, (j) => {
    const count = minOf(i32(thinVectors), sub(p.count, j));
    const target = aside ? add(to, mul(j, 16)) : to;
    const columns = add(p.columns, mul(j, columnBytes));
    f.call(thinTile(module, real, aside), p.base, columns, count, weights, p.index, p.depth, target);
  });
}

/** (base, columns, count, weights, index, depth, out): up to `thinVectors` columns; too few are filled up with the last. */
function thinTile(module: ModuleBuilder, real: Real, aside: boolean): Callee {
  return module.once(`thin tile ${real.name} ${aside}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, base, columns, count, weights, index, depth, out) => {
        const last = f.let(sub(count, 1));
        const tiles = Array.from({ length: thinVectors }, (_, v) => {
          const place = f.let(minOf(i32(v), last));
          const at = f.let(add(columns, mul(place, columnBytes)));
          const to = aside ? mul(place, 16) : load("i32.load", at, 4);
          return { from: f.let(add(base, load("i32.load", at))), to: f.let(add(out, to)), sum: f.local("v128") };
        });
        const weight = f.local("v128");
        const offset = f.local("i32");
        f.range(0, depth, 1, () => {
          f.set(offset, load("i32.load", index));
          f.set(weight, load(real.splat, weights));
          for (const { from, sum } of tiles)
            f.set(sum, multiplyAdd(real, weight, load("v128.load", add(from, offset)), sum));
          f.set(index, add(index, 4));
          f.set(weights, add(weights, real.bytes));
        });
        for (const { to, sum } of tiles) f.store("v128.store", to, sum);
        return undefined;
      },
    ),
  );
}

/** (sums, pitch, columns, count, out, rowStep, xStep, rows, lanes): stores the first lanes of every vector of a tile of rows. */
function scatter(module: ModuleBuilder, real: Real): Callee {
  return module.once(`scatter ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, sums, pitch, columns, count, out, rowStep, xStep, rows, lanes) => {
        const whole = f.let(op("i32.and", eq(xStep, real.bytes), eq(lanes, real.lanes)));
        f.range(0, count, 1, () => {
          const from = f.let(sums);
          const to = f.let(add(out, load("i32.load", columns, 4)));
          f.range(0, rows, 1, () => {
            f.if(
              whole,
              () => f.store("v128.store", to, load("v128.load", from)),
              () => {
                const [source, at] = [f.let(from), f.let(to)];
                f.range(0, lanes, 1, () => {
                  f.store(`${real.name}.store`, at, load(`${real.name}.load`, source));
                  f.set(source, add(source, real.bytes));
                  f.set(at, add(at, xStep));
                });
              },
            );
            f.set(from, add(from, pitch));
            f.set(to, add(to, rowStep));
          });
          f.set(sums, add(sums, 16));
          f.set(columns, add(columns, columnBytes));
        });
        return undefined;
      },
    ),
  );
}
