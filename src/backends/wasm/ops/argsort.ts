import type { OpInstruction } from "../../../compiler/instruction.ts";
import {
  add,
  type Callee,
  call,
  choose,
  div,
  type FunctionBuilder,
  f32,
  f64,
  i32,
  i64,
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
import type { Call } from "../call.ts";
import { defineWork, grainOf, placeOf } from "./work.ts";

/**
 * Elements become unsigned keys in the same order: -0 equals 0, and NaN comes last. A key of 32 bits shares a word with
 * its position, behind it; a key of 64 bits stands before it.
 */
interface Keys {
  readonly bytes: number;
  readonly wide: boolean;
  /** An i64. */
  key(f: FunctionBuilder, address: Value): Value;
}

const highest = 1n << 63n;

const narrow = (bytes: number, key: Keys["key"]): Keys => ({ bytes, wide: false, key });
const integer = (bytes: number, name: string, flip: number): Keys =>
  narrow(bytes, (_, address) => op("i64.extend_i32_u", op("i32.xor", load(name, address), i32(flip))));

const keys: Readonly<Record<string, Keys>> = {
  f32: narrow(4, (f, address) => {
    const x = f.let(load("f32.load", address));
    const bits = f.let(select(op("f32.eq", x, f32(0)), i32(0), op("i32.reinterpret_f32", x)));
    const ordered = op("i32.xor", bits, op("i32.or", op("i32.shr_s", bits, i32(31)), i32(-(2 ** 31))));
    return op("i64.extend_i32_u", select(op("f32.ne", x, x), i32(-1), ordered));
  }),
  f64: {
    ...{ bytes: 8, wide: true },
    key(f, address) {
      const x = f.let(load("f64.load", address));
      const bits = f.let(select(op("f64.eq", x, f64(0)), i64(0n), op("i64.reinterpret_f64", x)));
      const ordered = op("i64.xor", bits, op("i64.or", op("i64.shr_s", bits, i64(63n)), i64(highest)));
      return select(op("f64.ne", x, x), i64(-1n), ordered);
    },
  },
  i32: integer(4, "i32.load", -(2 ** 31)),
  u32: integer(4, "i32.load", 0),
  u8: integer(1, "i32.load8_u", 0),
};

/** Length of the runs that are sorted by insertion before they are merged. */
const runLength = 16;

/** x [outer, n, inner], out [outer, limit, inner]. An item is a row along the axis. */
const argsort = (name: string) => {
  const { bytes, wide, key } = keys[name];
  const size = wide ? 16 : 8;
  return defineWork({
    key: `argsort_${name}`,
    buffers: ["x", "out"],
    params: ["n", "inner", "limit", "descending"],
    build(f, module, w, { begin, end }) {
      const other = f.let(add(w.own, mul(w.n, size)));
      const step = f.let(mul(w.inner, bytes));
      const flip = f.let(op("i64.extend_i32_s", sub(i32(0), w.descending)));
      f.range(begin, end, 1, (item) => {
        const [outer, inner] = [f.let(div(item, w.inner)), f.let(rem(item, w.inner))];
        const x = f.let(add(w.x, mul(add(mul(mul(outer, w.n), w.inner), inner), bytes)));
        const entry = f.let(w.own);
        f.range(0, w.n, 1, (i) => {
          const value = f.let(op("i64.xor", key(f, x), flip));
          const position = op("i64.extend_i32_u", i);
          if (wide) {
            f.store("i64.store", entry, value);
            f.store("i64.store", entry, position, 8);
          } else f.store("i64.store", entry, op("i64.or", op("i64.shl", value, i64(32n)), position));
          f.set(entry, add(entry, size));
          f.set(x, add(x, step));
        });
        const sorted = f.let(call(sorter(module, size), w.own, other, w.n));
        const out = f.let(add(w.out, mul(add(mul(mul(outer, w.limit), w.inner), inner), 4)));
        f.range(0, w.limit, 1, () => {
          f.store("i32.store", out, load("i32.load", sorted, wide ? 8 : 0));
          f.set(sorted, add(sorted, size));
          f.set(out, add(out, mul(w.inner, 4)));
        });
      });
    },
  });
};

/** Copies an entry. */
function copy(f: FunctionBuilder, size: number, to: Value, from: Value): void {
  for (let at = 0; at < size; at += 8) f.store("i64.store", to, load("i64.load", from, at), at);
}

/** (entries, other, n): sorts n entries by their first word, stable, with the help of as much memory; returns where they are. */
function sorter(module: ModuleBuilder, size: number): Callee {
  return module.once(`merge sort ${size}`, () =>
    module.function(null, ["i32", "i32", "i32"], "i32", (f, entries, other, n) => {
      f.range(0, n, runLength, (first) =>
        insertionSort(f, size, entries, first, f.let(minOf(n, add(first, runLength)))),
      );
      const [from, to] = [f.let(entries), f.let(other)];
      const length = f.let(i32(runLength));
      f.while(
        () => lt(length, n),
        () => {
          const both = f.let(mul(length, 2));
          f.range(0, n, both, (first) => {
            const at = (i: Value) => f.let(add(from, mul(minOf(n, i), size)));
            const middle = at(add(first, length));
            merge(f, size, f.let(add(to, mul(first, size))), at(first), middle, f.let(middle), at(add(first, both)));
          });
          const swap = f.let(from);
          f.set(from, to);
          f.set(to, swap);
          f.set(length, both);
        },
      );
      return from;
    }),
  );
}

function insertionSort(f: FunctionBuilder, size: number, entries: Value, first: Value, last: Value): void {
  f.range(add(first, 1), last, 1, (i) => {
    const at = f.let(add(entries, mul(i, size)));
    const words = Array.from({ length: size / 8 }, (_, word) => f.let(load("i64.load", at, 8 * word)));
    const start = f.let(add(entries, mul(first, size)));
    const moves = () => op("i64.lt_u", words[0], load("i64.load", sub(at, size)));
    f.while(
      () => choose(op("i32.gt_u", at, start), moves(), i32(0)),
      () => {
        copy(f, size, at, sub(at, size));
        f.set(at, sub(at, size));
      },
    );
    words.forEach((word, k) => {
      f.store("i64.store", at, word, 8 * k);
    });
  });
}

/** Of equal keys, those of the left run come first. */
function merge(
  f: FunctionBuilder,
  size: number,
  to: Local,
  left: Local,
  leftEnd: Local,
  right: Local,
  rightEnd: Local,
): void {
  f.while(
    () => op("i32.and", op("i32.lt_u", left, leftEnd), op("i32.lt_u", right, rightEnd)),
    () => {
      const second = f.let(op("i64.lt_u", load("i64.load", right), load("i64.load", left)));
      copy(f, size, to, f.let(select(second, right, left)));
      f.set(right, add(right, mul(second, size)));
      f.set(left, add(left, mul(op("i32.eqz", second), size)));
      f.set(to, add(to, size));
    },
  );
  const rest = f.let(sub(leftEnd, left));
  f.do("memory.copy", to, left, rest);
  f.do("memory.copy", add(to, rest), right, sub(rightEnd, right));
}

/** argsort_*: x -> out i32; outer, n, inner, limit, descending. */
export function argsortCalls(instruction: OpInstruction): readonly Call[] {
  const [outer, n, inner, limit, descending] = instruction.params;
  const rows = outer * inner;
  if (rows * n * limit === 0) return [];
  const dtype = instruction.name.slice("argsort_".length);
  return [
    argsort(dtype)({
      buffers: { x: placeOf(instruction, 0), out: placeOf(instruction, 1) },
      params: { n, inner, limit, descending },
      range: rows,
      grain: grainOf(16 * n * Math.log2(n + 1)),
      threadBytes: 2 * n * (keys[dtype].wide ? 16 : 8),
    }),
  ];
}
