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
  shuffle32,
  sub,
  type Value,
} from "../assembler.ts";
import type { ConvBox, ConvPlan } from "./conv-plan.ts";
import { constant, loadOne, type Real, splat } from "./real.ts";
import { product } from "./work.ts";

/** What `boxFiller` reads, in i32 words. */
const words = ["channelStep", "z", "y", "x", "stepZ", "stepY", "stepX", "pitchZ", "pitchY", "plane", "phases"];

/** Where the table of a box holds a word. */
export const boxWord = (name: string): number => words.indexOf(name);

/** The table of a box: the words, then the first source index of each phase for position 0, per axis. */
export function boxTable(plan: ConvPlan, { pitch, plane }: ConvBox, { bytes }: Real): number[] {
  const { source, step, residues, origin } = plan;
  const channelStep = product(source) * bytes;
  return [
    ...[channelStep, ...source, ...step, pitch[0] * bytes, pitch[1] * bytes, plane * bytes, residues.length],
    ...residues.flatMap((residue) => residue.map((r, d) => r - origin[d])),
  ];
}

export const boxTableWords = (plan: ConvPlan): number => words.length + 3 * plan.residues.length;

/**
 * (to, from, table, channels, lo z y x, extent z y x): copies so many channels of a source image around the positions from `lo` on. Rows
 * are written as whole vectors in rising order, so that each covers what the one before wrote too much.
 */
export function boxFiller(module: ModuleBuilder, real: Real): Callee {
  return module.once(`fill box ${real.name}`, () => {
    const copyRow = rowCopier(module, real);
    return module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, to, from, table, channels, loZ, loY, loX, extentZ, extentY, extentX) => {
        const w = Object.fromEntries(words.map((name, i) => [name, f.let(load("i32.load", table, 4 * i))]));
        f.range(0, channels, 1, () => {
          const phase = f.let(add(table, 4 * words.length));
          f.range(0, w.phases, 1, () => {
            const [firstZ, firstY, firstX] = [loZ, loY, loX].map((lo, d) =>
              f.let(add(load("i32.load", phase, 4 * d), mul(lo, [w.stepZ, w.stepY, w.stepX][d]))),
            );
            const start = stepsTo(f, firstX, w.stepX, i32(0), extentX);
            const end = stepsTo(f, firstX, w.stepX, w.x, extentX);
            f.range(0, extentZ, 1, (z) => {
              const sourceZ = f.let(add(firstZ, mul(z, w.stepZ)));
              const row = f.let(add(to, mul(z, w.pitchZ)));
              f.range(0, extentY, 1, (y) => {
                const sourceY = f.let(add(firstY, mul(y, w.stepY)));
                f.if(
                  op("i32.and", op("i32.lt_u", sourceZ, w.z), op("i32.lt_u", sourceY, w.y)),
                  () => {
                    const first = add(mul(add(mul(sourceZ, w.y), sourceY), w.x), firstX);
                    f.call(
                      copyRow,
                      row,
                      add(from, mul(first, real.bytes)),
                      start,
                      end,
                      w.stepX,
                      sub(w.x, firstX),
                      extentX,
                    );
                  },
                  () => clear(f, real, row, i32(0), extentX),
                );
                f.set(row, add(row, w.pitchY));
              });
            });
            f.set(to, add(to, w.plane));
            f.set(phase, add(phase, 12));
          });
          f.set(from, add(from, w.channelStep));
        });
        return undefined;
      },
    );
  });
}

/** The first of `count` steps from `first` on that is at `index` or beyond. */
function stepsTo(f: FunctionBuilder, first: Value, step: Value, index: Value, count: Value): Local {
  const way = f.let(sub(index, first));
  const steps = op("i32.div_s", add(way, sub(step, 1)), step);
  return f.let(minOf(count, op("i32.mul", op("i32.gt_s", way, i32(0)), steps)));
}

/** The copies of some images that an item works on. */
export interface Boxes {
  readonly table: Value;
  /** Address of the first box, and bytes from one to the next. */
  readonly to: Value;
  readonly imageBox: Value;
  readonly from: Value;
  readonly imageStep: Value;
  readonly images: Value;
  readonly channels: Value;
  /** Address of six words: where the boxes begin, and their extents. */
  readonly place: Value;
}

export function fillBoxes(f: FunctionBuilder, module: ModuleBuilder, real: Real, b: Boxes): void {
  const extents = [0, 1, 2, 3, 4, 5].map((i) => load("i32.load", b.place, 4 * i));
  f.range(0, b.images, 1, (image) => {
    const [to, from] = [add(b.to, mul(image, b.imageBox)), add(b.from, mul(image, b.imageStep))];
    f.call(boxFiller(module, real), to, from, b.table, b.channels, ...extents);
  });
}

/** Zeros from element `begin` of a row on, up to `end` and as far as the last vector goes. */
function clear(f: FunctionBuilder, real: Real, row: Value, begin: Value, end: Value): void {
  const zero = splat(real, constant(real, 0));
  f.range(begin, end, real.lanes, (i) => f.store("v128.store", add(row, mul(i, real.bytes)), zero));
}

/**
 * (to, from, start, end, step, size, count): element u of a row is `from`[step * u] for u from `start` up to `end`, else 0;
 * `from` may be read up to `size`.
 */
function rowCopier(module: ModuleBuilder, real: Real): Callee {
  return module.once(`copy row ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, to, from, start, end, step, size, count) => {
        const { bytes, lanes } = real;
        const u = f.let(start);
        const target = () => add(to, mul(u, bytes));
        const source = () => add(from, mul(mul(u, step), bytes));
        clear(f, real, to, i32(0), start);
        /** So many whole vectors from `u` on, each from \`sourceBytes\` further on than the one before. */
        const copy = (vectors: Value, sourceBytes: number, vector: (at: Value) => Value) => {
          const [out, at] = [f.let(target()), f.let(source())];
          const stop = f.let(vectors);
          f.range(0, stop, 1, () => {
            f.store("v128.store", out, vector(at));
            f.set(out, add(out, 16));
            f.set(at, add(at, sourceBytes));
          });
          f.set(u, add(u, mul(stop, lanes)));
        };
        const whole = (elements: Value) => op("i32.shr_s", elements, i32(Math.log2(lanes)));
        f.if(eq(step, 1), () => {
          f.if(lt(u, end), () => copy(whole(sub(end, u)), 16, (at) => load("v128.load", at)));
          // The last vector of a row begins within the one before it.
          f.if(op("i32.and", lt(u, end), op("i32.le_s", add(start, lanes), end)), () => {
            f.set(u, sub(end, lanes));
            f.store("v128.store", target(), load("v128.load", source()));
            f.set(u, end);
          });
        });
        f.if(eq(step, 2), () => {
          const there = f.let(minOf(sub(end, u), sub(op("i32.shr_s", size, i32(1)), u)));
          const both = (at: Value) => everySecond(real, load("v128.load", at), load("v128.load", at, 16));
          f.if(op("i32.ge_s", there, i32(lanes)), () => copy(whole(there), 32, both));
        });
        f.for(u, end, 1, () => f.store(`${real.name}.store`, target(), loadOne(real, source())));
        clear(f, real, to, u, count);
        return undefined;
      },
    ),
  );
}

const everySecond = ({ lanes }: Real, low: Value, high: Value): Value =>
  shuffle32(low, high, lanes === 4 ? [0, 2, 4, 6] : [0, 1, 4, 5]);
