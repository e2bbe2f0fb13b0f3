import { add, type Callee, i32, load, type ModuleBuilder, minOf, mul, op, rem, sub } from "../assembler.ts";
import type { Call } from "../call.ts";
import { boxFiller, boxTable, boxTableWords, boxWord } from "./conv-box.ts";
import { boxExtent, boxLayout, type ConvBox, type ConvPlan, tapOffset } from "./conv-plan.ts";
import { multiplyAdd, type Real } from "./real.ts";
import { defineWork, grainOf, type Place, product } from "./work.ts";

/** Taps whose weights stay in registers, and bytes of a padded map. */
const mostTaps = 9;
const boxBytes = 256 << 10;

/** A tap reads `offset` bytes behind one of a few pointers, which taps of one kernel row share. */
interface TapGroups {
  readonly pointers: readonly number[];
  readonly taps: readonly { readonly pointer: number; readonly offset: number; readonly weight: number }[];
}

function groupTaps(plan: ConvPlan, box: ConvBox, { bytes }: Real): TapGroups {
  const pointers: number[] = [];
  const known: string[] = [];
  const taps = plan.parts[0].taps.map((tap) => {
    const row = `${tap.phase} ${tap.shift.slice(0, 2)}`;
    const at = tapOffset(plan, box, tap) * bytes;
    if (!known.includes(row)) pointers[known.push(row) - 1] = at;
    const pointer = known.indexOf(row);
    return { pointer, offset: at - pointers[pointer], weight: tap.at * bytes };
  });
  // Offsets of an instruction are not negative.
  const least = pointers.map((_, p) => Math.min(...taps.map((t) => (t.pointer === p ? t.offset : 0))));
  return {
    pointers: pointers.map((at, p) => at + least[p]),
    taps: taps.map((t) => ({ ...t, offset: t.offset - least[t.pointer] })),
  };
}

/**
 * Few taps on one channel per group: the weights stay in registers, and vectors go along the rows of a padded copy of the
 * map. An item is a map. Where the taps lie is written into the code.
 */
const depthwise = (real: Real, groups: TapGroups) => {
  const layout = groups.taps.map(({ pointer, offset, weight }) => `${pointer}+${offset}*${weight}`).join();
  return defineWork({
    key: `conv_depthwise_${real.name} ${layout}`,
    buffers: ["source", "w", "out"],
    params: [
      ...(["groups", "pointersAt", "sourceVolume", "outVolume", "volume", "z", "y", "x"] as const),
      ...(["loZ", "loY", "loX", "extentZ", "extentY", "extentX"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      f.range(begin, end, 1, (map) => {
        const source = add(w.source, mul(map, w.sourceVolume));
        const extents = [w.loZ, w.loY, w.loX, w.extentZ, w.extentY, w.extentX];
        f.call(boxFiller(module, real), w.own, source, table, i32(1), ...extents);
        const weights = add(w.w, mul(rem(map, w.groups), w.volume));
        const out = add(w.out, mul(map, w.outVolume));
        const pointers = add(table, mul(w.pointersAt, 4));
        f.call(mapGatherer(module, real, groups, layout), w.own, weights, out, table, pointers, w.z, w.y, w.x);
      });
    },
  });
};

/** (box, weights, out, table, pointers, z, y, x): one map. The last vector of a row begins within the one before it. */
function mapGatherer(module: ModuleBuilder, real: Real, groups: TapGroups, layout: string): Callee {
  return module.once(`gather map ${real.name} ${layout}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, box, weights, out, table, pointers, z, y, x) => {
        const factors = groups.taps.map(({ weight }) => f.let(load(real.splat, weights, weight)));
        const offsets = groups.pointers.map((_, i) => f.let(add(box, load("i32.load", pointers, 4 * i))));
        const [pitchZ, pitchY] = ["pitchZ", "pitchY"].map((name) => f.let(load("i32.load", table, 4 * boxWord(name))));
        const rowBytes = f.let(mul(x, real.bytes));
        const last = f.let(sub(rowBytes, 16));
        const rows = offsets.map(() => f.local("i32"));
        const at = f.local("i32");
        f.range(0, z, 1, (iz) => {
          const plane = f.let(mul(iz, pitchZ));
          f.range(0, y, 1, () => {
            rows.forEach((row, i) => {
              f.set(row, add(offsets[i], plane));
            });
            f.range(0, rowBytes, 16, (j) => {
              f.set(at, minOf(j, last));
              const places = rows.map((row) => f.let(add(row, at)));
              const [first, ...rest] = groups.taps.map(({ pointer, offset }, t) => ({
                value: () => load("v128.load", places[pointer], offset),
                factor: factors[t],
              }));
              const sum = f.let(op(`${real.shape}.mul`, first.value(), first.factor));
              for (const { value, factor } of rest) f.set(sum, multiplyAdd(real, value(), factor, sum));
              f.store("v128.store", add(out, at), sum);
            });
            f.set(plane, add(plane, pitchY));
            f.set(out, add(out, rowBytes));
          });
        });
        return undefined;
      },
    ),
  );
}

/** Whether this file is for a plan: one channel and one row per group, few taps, rows of at least a vector. */
export function isDepthwise(plan: ConvPlan, real: Real): boolean {
  const [part, ...others] = plan.parts;
  const extent = product(boxExtent(plan, plan.out)) * plan.residues.length * real.bytes;
  return (
    plan.channels === 1 &&
    plan.rows === 1 &&
    plan.out[2] >= real.lanes &&
    others.length === 0 &&
    part.taps.length > 0 &&
    part.taps.length <= mostTaps &&
    extent <= boxBytes
  );
}

/** The same as `gatherCalls` for a plan of this kind. */
export function depthwiseCalls(real: Real, plan: ConvPlan, source: Place, w: Place, out: Place): readonly Call[] {
  const box = boxLayout(plan, [plan], real.lanes, false);
  const groups = groupTaps(plan, box, real);
  const [loZ, loY, loX] = plan.lo.map((lo, d) => lo + plan.minShift[d]);
  const [extentZ, extentY, extentX] = boxExtent(plan, plan.out);
  const [z, y, x] = plan.out;
  const taps = plan.parts[0].taps.length;
  return [
    depthwise(
      real,
      groups,
    )({
      buffers: { source, w, out },
      params: {
        ...{ groups: plan.groups, pointersAt: boxTableWords(plan), volume: taps * real.bytes, z, y, x },
        ...{ sourceVolume: product(plan.source) * real.bytes, outVolume: product(plan.out) * real.bytes },
        ...{ loZ, loY, loX, extentZ, extentY, extentX },
      },
      table: [...boxTable(plan, box, real), ...groups.pointers],
      range: plan.n * plan.groups,
      grain: grainOf(taps * z * y * x),
      threadBytes: box.channel * real.bytes + 64,
    }),
  ];
}
