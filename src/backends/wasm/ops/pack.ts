import {
  add,
  type Callee,
  eq,
  extract,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  type ModuleBuilder,
  mul,
  op,
  shuffle32,
  sub,
  type Value,
} from "../assembler.ts";
import { constant, loadOne, type Real, transposeLanes } from "./real.ts";

/**
 * (to, from, laneStep, depthStep, lanes, depth): writes a panel [depth][width] as the tile reads it. Lane l of step k comes
 * from `from` + l * laneStep + k * depthStep. If there are fewer than `width` lanes, the panel has that many columns
 * (`exact`, for rows of A), or zeros beside them (for columns of B).
 */
export function panelPacker(module: ModuleBuilder, real: Real, width: number, exact: boolean): Callee {
  return module.once(`pack ${real.name} ${width} ${exact}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, to, from, laneStep, depthStep, lanes, depth) => {
        const pitch = exact ? f.let(mul(lanes, real.bytes)) : f.let(i32(width * real.bytes));
        const done = f.local("i32");
        f.if(eq(lanes, width), () => {
          f.if(eq(laneStep, real.bytes), () => {
            f.range(0, depth, 1, () => {
              copyRow(f, real, to, from, width);
              f.set(to, add(to, width * real.bytes));
              f.set(from, add(from, depthStep));
            });
            f.return();
          });
          f.if(eq(depthStep, real.bytes), () => transposeBlocks(f, real, width, { to, from, laneStep, depth, done }));
        });
        const left = f.let(sub(depth, done));
        f.range(0, lanes, 1, (lane) => {
          const [target, source] = [f.let(add(to, mul(lane, real.bytes))), f.let(add(from, mul(lane, laneStep)))];
          f.range(0, left, 1, () => {
            f.store(`${real.name}.store`, target, loadOne(real, source));
            f.set(target, add(target, pitch));
            f.set(source, add(source, depthStep));
          });
        });
        if (exact) return undefined;
        f.range(lanes, width, 1, (lane) => {
          const target = f.let(add(to, mul(lane, real.bytes)));
          f.range(0, left, 1, () => {
            f.store(`${real.name}.store`, target, constant(real, 0));
            f.set(target, add(target, pitch));
          });
        });
        return undefined;
      },
    ),
  );
}

/** `count` neighbours. */
function copyRow(f: FunctionBuilder, real: Real, to: Value, from: Value, count: number): void {
  let at = 0;
  for (; at + 16 <= count * real.bytes; at += 16) f.store("v128.store", to, load("v128.load", from, at), at);
  for (; at + 8 <= count * real.bytes; at += 8) f.store("i64.store", to, load("i64.load", from, at), at);
  if (at < count * real.bytes) f.store("i32.store", to, load("i32.load", from, at), at);
}

interface Panel {
  readonly to: Local;
  readonly from: Local;
  readonly laneStep: Local;
  readonly depth: Local;
  /** Steps that are done. */
  readonly done: Local;
}

/** Whole blocks of steps whose sources are contiguous: rows are read as vectors and transposed in registers. */
function transposeBlocks(
  f: FunctionBuilder,
  real: Real,
  width: number,
  { to, from, laneStep, depth, done }: Panel,
): void {
  const { lanes, bytes } = real;
  const source = f.local("i32");
  f.while(
    () => op("i32.le_s", add(done, lanes), depth),
    () => {
      f.set(source, from);
      for (let first = 0; first < width; first += lanes) {
        const rows = Array.from({ length: Math.min(lanes, width - first) }, () => {
          const row = f.let(load("v128.load", source));
          f.set(source, add(source, laneStep));
          return row;
        });
        const at = (k: number) => (k * width + first) * bytes;
        if (rows.length === lanes)
          transposeLanes(f, real, rows).forEach((column, k) => {
            f.store("v128.store", to, column, at(k));
          });
        else
          [
            [0, 4, 1, 5],
            [2, 6, 3, 7],
          ].forEach((four, half) => {
            const pairs = f.let(shuffle32(rows[0], rows[1], four));
            for (const k of [0, 1]) f.store("i64.store", to, extract("i64x2", pairs, k), at(2 * half + k));
          });
      }
      f.set(to, add(to, lanes * width * bytes));
      f.set(from, add(from, lanes * bytes));
      f.set(done, add(done, lanes));
    },
  );
}
