import {
  add,
  type Callee,
  div,
  i32,
  load,
  lt,
  type ModuleBuilder,
  minOf,
  mul,
  op,
  rem,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { boxFiller, boxTable, boxTableWords, boxWord } from "./conv-box.ts";
import { boxExtent, boxLayout, type ConvPlan, tapOffset } from "./conv-plan.ts";
import { multiplyAdd, type Real, sumLanes } from "./real.ts";
import { ceilDiv, defineWork, grainOf, type Place, product } from "./work.ts";

/** Sums of taps that are held in registers. */
const tapsAtOnce = 9;
const wantedItems = 16;

/**
 * Gradient of depthwise weights, one source channel per group: vectors along rows of the outputs, a sum per tap. An item is
 * a group and a part of the images; it leaves [output channel][tap] vectors, whose lanes are not added up yet.
 */
const thinSums = (real: Real) =>
  defineWork({
    key: `conv_weight_thin_${real.name}`,
    buffers: ["x", "dy"],
    params: [
      ...(["n", "groups", "rows", "taps", "tapsAt", "splits", "dyVolume", "xVolume"] as const),
      ...(["extentZ", "extentY", "extentX", "z", "y", "width"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const offsets = f.let(add(table, mul(w.tapsAt, 4)));
      const [pitchZ, pitchY] = ["pitchZ", "pitchY"].map((name) => f.let(load("i32.load", table, 4 * boxWord(name))));
      const itemSums = f.let(mul(mul(w.rows, w.taps), 16));
      f.range(begin, end, 1, (item) => {
        const group = f.let(div(item, w.splits));
        const split = f.let(rem(item, w.splits));
        const sums = f.let(add(w.shared, mul(item, itemSums)));
        f.do("memory.fill", sums, i32(0), itemSums);
        const [n0, n1] = [split, add(split, 1)].map((i) => f.let(div(mul(w.n, i), w.splits)));
        f.range(n0, n1, 1, (image) => {
          const map = f.let(add(mul(image, w.groups), group));
          const x = add(w.x, mul(map, w.xVolume));
          const extents = [w.extentZ, w.extentY, w.extentX];
          f.call(boxFiller(module, real), w.own, x, table, i32(1), i32(0), i32(0), i32(0), ...extents);
          f.range(0, w.rows, 1, (row) => {
            const dy = f.let(add(w.dy, mul(add(mul(map, w.rows), row), w.dyVolume)));
            f.range(0, w.taps, tapsAtOnce, (tap) => {
              const to = add(sums, mul(add(mul(row, w.taps), tap), 16));
              const places = [add(offsets, mul(tap, 4)), minOf(i32(tapsAtOnce), sub(w.taps, tap)), to];
              f.call(tapAdder(module, real), w.own, dy, ...places, w.z, w.y, w.width, pitchZ, pitchY);
            });
          });
        });
      });
    },
  });

/** (box, dy, offsets, taps, sums, z, y, x, pitchZ, pitchY): adds one map to the sums of up to `tapsAtOnce` taps. */
function tapAdder(module: ModuleBuilder, real: Real): Callee {
  return module.once(`add taps ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, box, dy, offsets, taps, sums, z, y, x, pitchZ, pitchY) => {
        const last = f.let(sub(taps, 1));
        const lists = Array.from({ length: tapsAtOnce }, (_, t) => {
          const offset = load("i32.load", add(offsets, mul(minOf(i32(t), last), 4)));
          return { from: f.let(add(box, offset)), sum: f.local("v128") };
        });
        const whole = f.let(op("i32.and", x, i32(-real.lanes)));
        const right = f.local("v128");
        const at = f.local("i32");
        const addVector = (name: string, bytes: number) => {
          f.set(right, load(name, dy));
          for (const { from, sum } of lists) f.set(sum, multiplyAdd(real, right, load(name, add(from, at)), sum));
          f.set(at, add(at, bytes));
          f.set(dy, add(dy, bytes));
        };
        f.range(0, z, 1, (iz) =>
          f.range(0, y, 1, (iy) => {
            f.set(at, add(mul(iz, pitchZ), mul(iy, pitchY)));
            f.range(0, whole, real.lanes, () => addVector("v128.load", 16));
            f.range(whole, x, 1, () => addVector(real.first, real.bytes));
          }),
        );
        lists.forEach(({ sum }, t) => {
          const total = () => op(`${real.shape}.add`, load("v128.load", sums, 16 * t), sum);
          f.if(lt(i32(t), taps), () => f.store("v128.store", sums, total(), 16 * t));
        });
        return undefined;
      },
    ),
  );
}

/** dw [group][output channel, tap] = the sums of all splits and lanes. An item is a group. */
const thinCollect = (real: Real) =>
  defineWork({
    key: `conv_collect_thin_${real.name}`,
    buffers: ["dw"],
    params: ["count", "splits"],
    build(f, _module, w, { begin, end }) {
      const splitSums = f.let(mul(w.count, 16));
      const groupSums = f.let(mul(splitSums, w.splits));
      f.range(begin, end, 1, (group) => {
        const from = f.let(add(w.shared, mul(group, groupSums)));
        const to = f.let(add(w.dw, mul(mul(group, w.count), real.bytes)));
        f.range(0, w.count, 1, () => {
          const total = f.let(load("v128.load", from));
          const next = f.let(from);
          f.range(1, w.splits, 1, () => {
            f.set(next, add(next, splitSums));
            f.set(total, op(`${real.shape}.add`, total, load("v128.load", next) as Value));
          });
          f.store(`${real.name}.store`, to, sumLanes(real, total));
          f.set(from, add(from, 16));
          f.set(to, add(to, real.bytes));
        });
      });
    },
  });

/** The same as `weightGradCalls` where every group has a single source channel. */
export function thinWeightGradCalls(real: Real, plan: ConvPlan, x: Place, dy: Place, dw: Place): readonly Call[] {
  const { n, groups, rows } = plan;
  const { taps } = plan.parts[0];
  const box = boxLayout(plan, [plan], real.lanes, false);
  const splits = Math.min(n, ceilDiv(wantedItems, groups));
  const [extentZ, extentY, extentX] = boxExtent(plan, plan.out);
  const [z, y, width] = plan.out;
  const [xVolume, dyVolume] = [plan.source, plan.out].map((size) => product(size) * real.bytes);
  const count = rows * taps.length;
  return [
    thinSums(real)({
      buffers: { x, dy },
      params: {
        ...{ n, groups, rows, taps: taps.length, tapsAt: boxTableWords(plan), splits, dyVolume, xVolume },
        ...{ extentZ, extentY, extentX, z, y, width },
      },
      table: [...boxTable(plan, box, real), ...taps.map((tap) => tapOffset(plan, box, tap) * real.bytes)],
      range: groups * splits,
      grain: grainOf((n * count * z * y * width) / splits),
      sharedBytes: groups * splits * count * 16,
      threadBytes: box.channel * real.bytes + 64,
    }),
    thinCollect(real)({
      buffers: { dw },
      params: { count, splits },
      range: groups,
      grain: grainOf(16 * count * splits),
    }),
  ];
}
