import type { OpInstruction } from "../../../compiler/instruction.ts";
import {
  add,
  div,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  lt,
  mul,
  op,
  rem,
  select,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { ceilDiv, defineWork, grainOf, placeOf } from "./work.ts";

/** How elements are added; those of one byte have no vectors. */
interface Terms {
  readonly bytes: number;
  readonly load: string;
  readonly add: string;
  readonly store: string;
  readonly addVector: string | null;
}

const terms: Readonly<Record<string, Terms>> = {
  f32: { bytes: 4, load: "f32.load", add: "f32.add", store: "f32.store", addVector: "f32x4.add" },
  f64: { bytes: 8, load: "f64.load", add: "f64.add", store: "f64.store", addVector: "f64x2.add" },
  i32: { bytes: 4, load: "i32.load", add: "i32.add", store: "i32.store", addVector: "i32x4.add" },
  u8: { bytes: 1, load: "i32.load8_u", add: "i32.add", store: "i32.store8", addVector: null },
};

/** Items wanted if there is much to do; fewest elements of the inner axis, and elements in all, that pay for that. */
const wantedItems = 16;
const leastInner = 64;
const muchWork = 1 << 16;

/**
 * out [outer, m, inner]: an item is an outer index, a run of its rows and a run of the inner axis. It zeroes them, then adds
 * the updates in their order.
 */
const scatterAdd = (name: string) => {
  const t = terms[name];
  return defineWork({
    key: `scatter_add_${name}`,
    buffers: ["index", "update", "out"],
    params: ["n", "m", "inner", "indexOuter", "indexAxis", "indexInner", "rowParts", "innerParts"],
    build(f, _module, w, { begin, end }) {
      f.range(begin, end, 1, (item) => {
        const cut = (size: Value, parts: Value, part: Value) =>
          [part, add(part, 1)].map((i) =>
            f.let(op("i32.wrap_i64", op("i64.div_u", wideProduct(size, i), wide(parts)))),
          );
        const [row0, row1] = cut(w.m, w.rowParts, rem(item, w.rowParts));
        const rest = f.let(div(item, w.rowParts));
        const [j0, j1] = cut(w.inner, w.innerParts, rem(rest, w.innerParts));
        const outer = f.let(div(rest, w.innerParts));
        const run = f.let(mul(sub(j1, j0), t.bytes));
        const out = f.let(add(w.out, mul(add(mul(mul(outer, w.m), w.inner), j0), t.bytes)));
        const rowBytes = f.let(mul(w.inner, t.bytes));
        f.range(row0, row1, 1, (row) => f.do("memory.fill", add(out, mul(row, rowBytes)), i32(0), run));
        const update = f.let(add(w.update, mul(add(mul(mul(outer, w.n), w.inner), j0), t.bytes)));
        const index = f.let(add(w.index, mul(add(mul(outer, w.indexOuter), mul(j0, w.indexInner)), 4)));
        // One index for the whole run, or one for each element.
        const oneRow = f.let(op("i32.eqz", w.indexInner));
        const step = f.let(select(oneRow, run, i32(t.bytes)));
        f.range(0, w.n, 1, () => {
          const at = f.let(index);
          f.range(0, run, step, (j) => {
            const row = f.let(load("i32.load", at));
            f.set(row, select(lt(row, 0), add(row, w.m), row));
            f.if(op("i32.lt_u", sub(row, row0), sub(row1, row0)), () =>
              addRun(f, t, f.let(add(out, add(mul(row, rowBytes), j))), f.let(add(update, j)), step),
            );
            f.set(at, add(at, mul(w.indexInner, 4)));
          });
          f.set(index, add(index, mul(w.indexAxis, 4)));
          f.set(update, add(update, rowBytes));
        });
      });
    },
  });
};

const wide = (x: Value): Value => op("i64.extend_i32_u", x);
const wideProduct = (x: Value, y: Value): Value => op("i64.mul", wide(x), wide(y));

/** to += from, so many bytes. */
function addRun(f: FunctionBuilder, t: Terms, to: Local, from: Local, bytes: Local): void {
  const done = f.let(i32(0));
  const step = (loadName: string, addName: string, storeName: string, size: number) => {
    const [target, source] = [add(to, done), add(from, done)];
    f.store(storeName, target, op(addName, load(loadName, target), load(loadName, source)));
    f.set(done, add(done, size));
  };
  const { addVector } = t;
  if (addVector)
    f.while(
      () => op("i32.le_s", add(done, 16), bytes),
      () => step("v128.load", addVector, "v128.store", 16),
    );
  f.while(
    () => lt(done, bytes),
    () => step(t.load, t.add, t.store, t.bytes),
  );
}

/** scatter_add_*: index, update -> out; outer, n, m, inner, then the strides of the index. */
export function scatterAddCalls(instruction: OpInstruction): readonly Call[] {
  const [outer, n, m, inner, indexOuter, indexAxis, indexInner] = instruction.params;
  if (outer * m * inner === 0) return [];
  // Wrapping sums have the same bits with and without sign.
  const dtype = instruction.name.slice("scatter_add_".length).replace("u32", "i32");
  const wanted = outer * (n + m) * inner < muchWork ? 1 : ceilDiv(wantedItems, outer);
  const innerParts = Math.max(1, Math.min(wanted, Math.floor(inner / leastInner)));
  const rowParts = Math.min(m, ceilDiv(wanted, innerParts));
  return [
    scatterAdd(dtype)({
      buffers: { index: placeOf(instruction, 0), update: placeOf(instruction, 1), out: placeOf(instruction, 2) },
      params: { n, m, inner, indexOuter, indexAxis, indexInner, rowParts, innerParts },
      range: outer * innerParts * rowParts,
      grain: grainOf((4 * (n + m) * inner) / (innerParts * rowParts)),
    }),
  ];
}
