import type { OpInstruction } from "../../../compiler/instruction.ts";
import {
  add,
  div,
  f64,
  i32,
  load,
  minOf,
  mul,
  op,
  rem,
  select,
  sub,
  type Value,
  type ValueType,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { ceilDiv, defineWork, grainOf, placeOf } from "./work.ts";

/** Neighbours on the inner axis that an item takes, one after the other. */
const innerBlock = 64;

/** How elements are read, added up and written: f32 adds in f64, integers wrap. */
interface Terms {
  readonly bytes: number;
  readonly type: ValueType;
  read(address: Value): Value;
  add(x: Value, y: Value): Value;
  readonly store: string;
  write(x: Value): Value;
}

const integers = (bytes: number, load8: string, store: string): Terms => ({
  ...{ bytes, type: "i32", store },
  read: (address) => load(load8, address),
  add,
  write: (x) => x,
});

const terms: Readonly<Record<string, Terms>> = {
  f32: {
    ...{ bytes: 4, type: "f64", store: "f32.store" },
    read: (address) => op("f64.promote_f32", load("f32.load", address)),
    add: (x, y) => op("f64.add", x, y),
    write: (x) => op("f32.demote_f64", x),
  },
  f64: {
    ...{ bytes: 8, type: "f64", store: "f64.store" },
    read: (address) => load("f64.load", address),
    add: (x, y) => op("f64.add", x, y),
    write: (x) => x,
  },
  i32: integers(4, "i32.load", "i32.store"),
  u8: integers(1, "i32.load8_u", "i32.store8"),
};

/** x, out [outer, n, inner]. An item is an outer index and a block of the inner axis. */
const cumsum = (name: string) => {
  const { bytes, type, read, write, store, ...t } = terms[name];
  return defineWork({
    key: `cumsum_${name}`,
    buffers: ["x", "out"],
    params: ["n", "inner", "reverse", "exclusive", "blocks"],
    build(f, _module, w, { begin, end }) {
      const step = f.let(mul(w.inner, bytes));
      const start = f.let(select(w.reverse, mul(sub(w.n, 1), step), i32(0)));
      f.set(step, select(w.reverse, sub(i32(0), step), step));
      f.range(begin, end, 1, (item) => {
        const first = f.let(mul(rem(item, w.blocks), innerBlock));
        const last = f.let(minOf(w.inner, add(first, innerBlock)));
        const base = f.let(add(start, mul(mul(mul(div(item, w.blocks), w.n), w.inner), bytes)));
        f.range(first, last, 1, (j) => {
          const at = f.let(add(base, mul(j, bytes)));
          const total = f.let(type === "i32" ? i32(0) : f64(0));
          const next = f.local(type);
          f.range(0, w.n, 1, () => {
            f.set(next, t.add(total, read(add(w.x, at))));
            f.store(store, add(w.out, at), write(select(w.exclusive, total, next)));
            f.set(total, next);
            f.set(at, add(at, step));
          });
        });
      });
    },
  });
};

/** cumsum_*: x -> out; outer, n, inner, reverse, exclusive. */
export function cumsumCalls(instruction: OpInstruction): readonly Call[] {
  const [outer, n, inner, reverse, exclusive] = instruction.params;
  if (outer * n * inner === 0) return [];
  // Wrapping sums have the same bits with and without sign.
  const dtype = instruction.name.slice("cumsum_".length).replace("u32", "i32");
  const blocks = ceilDiv(inner, innerBlock);
  return [
    cumsum(dtype)({
      buffers: { x: placeOf(instruction, 0), out: placeOf(instruction, 1) },
      params: { n, inner, reverse, exclusive, blocks },
      range: outer * blocks,
      grain: grainOf(4 * n * Math.min(inner, innerBlock)),
    }),
  ];
}
