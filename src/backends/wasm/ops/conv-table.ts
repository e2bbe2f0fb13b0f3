import { boxTable, boxTableWords } from "./conv-box.ts";
import {
  type Band,
  bandSize,
  bandsOf,
  boxExtent,
  boxLayout,
  type ConvBox,
  type ConvPlan,
  tapOffset,
} from "./conv-plan.ts";
import { type Real, tileRows } from "./real.ts";
import { ceilDiv, product, roundUp } from "./work.ts";

/** Bytes of the boxes of an item, which stay in the second cache. */
const boxBytes = 256 << 10;
/** Items wanted at least, and columns of an item. */
const wantedItems = 16;
const wantedColumns = 128;

/** Words of the table per part (taps, steps of the outputs in bytes), per tap, and per part of a band. */
export const partWords = 4;
export const tapWords = 2;
export const rangeWords = 5;
export const bandWords = 6;

/** How the work is cut into items: bands of positions, blocks of rows, images that one item computes together. */
export interface Cut {
  readonly bands: readonly Band[];
  readonly box: ConvBox;
  readonly images: number;
  readonly blockRows: number;
}

export function cutWork(plan: ConvPlan, real: Real): Cut {
  const size = bandSize(plan);
  const axis = size.findIndex((n) => n > 1);
  const bandAxis = axis < 0 ? 2 : axis;
  const units = bandAxis === 2 ? ceilDiv(size[2], real.lanes) : size[bandAxis];
  const images = plan.n * plan.groups;
  const bytesOf = (box: ConvBox) => (box.inPlace ? 0 : plan.channels * box.channel * real.bytes);
  const fitting = ceilDiv(bytesOf(boxLayout(plan, [plan], real.lanes)), boxBytes);
  const short = Math.min(ceilDiv(wantedItems, images), Math.floor(units / 4));
  const bands = bandsOf(plan, bandAxis, Math.max(1, Math.min(units, Math.max(fitting, short))), real.lanes);
  const box = boxLayout(plan, bands, real.lanes);
  const together = Math.min(
    ceilDiv(wantedColumns, product(size)),
    Math.floor(boxBytes / Math.max(1, bytesOf(box))),
    Math.floor(images / wantedItems),
  );
  const blocks = Math.min(ceilDiv(wantedItems, images * bands.length), ceilDiv(plan.rows, 4 * tileRows));
  return {
    ...{ bands, box },
    images: bands.length > 1 ? 1 : Math.max(1, Math.min(plan.n, together)),
    blockRows: roundUp(ceilDiv(plan.rows, Math.max(1, blocks)), tileRows),
  };
}

/** Positions of a band that are of a part. */
function common(band: Band, part: Band): { readonly lo: readonly number[]; readonly size: readonly number[] } {
  const lo = band.lo.map((at, d) => Math.max(at, part.lo[d]));
  return { lo, size: band.hi.map((at, d) => Math.max(0, Math.min(at, part.hi[d]) - lo[d])) };
}

/** The box, then parts with their taps, then bands, then the part of each band. */
export function convTable(plan: ConvPlan, { bands, box }: Cut, real: Real): number[] {
  const outPitch = [plan.out[1] * plan.out[2], plan.out[2], 1];
  const parts = plan.parts.flatMap(({ taps, step }) => [
    taps.length,
    ...step.map((s, d) => s * outPitch[d] * real.bytes),
  ]);
  const taps = plan.parts.flatMap((part) =>
    part.taps.flatMap((tap) => [tapOffset(plan, box, tap) * real.bytes, tap.at * real.bytes]),
  );
  const lists = bands.flatMap((band) => [
    ...band.lo.map((lo, d) => lo + plan.minShift[d]),
    ...boxExtent(plan, bandSize(band)),
  ]);
  const ranges = bands.flatMap((band) =>
    plan.parts.flatMap((part) => {
      const { lo, size } = common(band, part);
      // In place, positions are counted from the source itself.
      const from = lo.map((at, d) => (box.inPlace ? at + plan.minShift[d] : at - band.lo[d]));
      const boxAt = from.reduce((sum, at, d) => sum + at * box.pitch[d], 0);
      const outAt = lo.reduce((sum, at, d) => sum + (part.step[d] * at + part.origin[d]) * outPitch[d], 0);
      return [boxAt * real.bytes, outAt * real.bytes, ...size];
    }),
  );
  return [...boxTable(plan, box, real), ...parts, ...taps, ...lists, ...ranges];
}

export const depthOf = (plan: ConvPlan): number =>
  plan.channels * plan.parts.reduce((sum, { taps }) => sum + taps.length, 0);

export const layoutParams = [
  "tableParts",
  "tableTaps",
  "tableBands",
  "tableRanges",
  "parts",
  "rows",
  "channels",
  "boxChannel",
  "packedGroup",
  "indexAt",
] as const;
export type Layout = Record<(typeof layoutParams)[number], number>;

/** Where things lie: in the table, in words, and in the shared memory, in bytes. */
export function layoutOf(plan: ConvPlan, { bands, box }: Cut, real: Real): Layout {
  const tableParts = boxTableWords(plan);
  const tableTaps = tableParts + partWords * plan.parts.length;
  const tableBands = tableTaps + tapWords * plan.parts.reduce((sum, { taps }) => sum + taps.length, 0);
  const packedGroup = plan.rows * depthOf(plan) * real.bytes;
  return {
    ...{ tableParts, tableTaps, tableBands, tableRanges: tableBands + bandWords * bands.length },
    ...{ parts: plan.parts.length, rows: plan.rows, channels: plan.channels, boxChannel: box.channel * real.bytes },
    ...{ packedGroup, indexAt: packedGroup * plan.groups },
  };
}

/** Vectors of the longest list of columns, per image. */
export const longestRange = (plan: ConvPlan, { bands }: Cut, { lanes }: Real): number =>
  Math.max(
    ...bands.flatMap((band) =>
      plan.parts.map((part) => {
        const [z, y, x] = common(band, part).size;
        return z * y * ceilDiv(x, lanes);
      }),
    ),
  );
