import { add, call, div, eq, i32, load, minOf, mul, op, rem, sub, type Value } from "../assembler.ts";
import type { Call } from "../call.ts";
import { fillBoxes } from "./conv-box.ts";
import { asideTiles, columnBytes, columnLister, directTiles } from "./conv-columns.ts";
import { packing } from "./conv-pack.ts";
import type { ConvPlan } from "./conv-plan.ts";
import {
  bandWords,
  convTable,
  cutWork,
  depthOf,
  layoutOf,
  layoutParams,
  longestRange,
  partWords,
  rangeWords,
} from "./conv-table.ts";
import { type Real, tileRows } from "./real.ts";
import { ceilDiv, defineWork, grainOf, type Place, product, roundUp } from "./work.ts";

/** Steps of the depth that are summed up at a time: their weights and columns stay in the first cache. */
const longestSlice = 768;

/** An item is a band of some images, and a block of rows of a group. The weights were packed to where `from` says. */
const gather = (real: Real, from: "packed" | "shared") =>
  defineWork({
    key: `conv_gather_${from}_${real.name}`,
    buffers: ["source", "packed", "out"],
    params: [
      ...layoutParams,
      ...(["n", "groups", "images", "bands", "rowBlocks", "blockRows", "inPlace", "imageBox"] as const),
      ...(["sourceImage", "sourceGroup", "outImage", "outChannel", "boxes", "longest", "slice"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const word = (index: Value) => add(table, mul(index, 4));
      const sums = w.own;
      const boxes = f.let(add(sums, mul(add(w.longest, 1), 16 * tileRows)));
      const counts = f.let(add(boxes, w.boxes));
      const lists = f.let(add(counts, mul(w.parts, 4)));
      const listBytes = f.let(mul(w.longest, columnBytes));
      const partOf = (part: Value) => word(add(w.tableParts, mul(part, partWords)));
      /** Band and images that the columns in the lists belong to. */
      const [listedBand, listedImages] = [f.let(i32(-1)), f.let(i32(-1))];
      f.range(begin, end, 1, (item) => {
        const band = f.let(rem(item, w.bands));
        const rest = f.let(div(item, w.bands));
        const row0 = f.let(mul(rem(rest, w.rowBlocks), w.blockRows));
        const row1 = f.let(minOf(w.rows, add(row0, w.blockRows)));
        f.set(rest, div(rest, w.rowBlocks));
        const group = f.let(rem(rest, w.groups));
        const first = f.let(mul(div(rest, w.groups), w.images));
        const images = f.let(minOf(w.images, sub(w.n, first)));
        const source = f.let(add(w.source, add(mul(first, w.sourceImage), mul(group, w.sourceGroup))));
        const out = f.let(add(w.out, add(mul(first, w.outImage), mul(mul(group, w.rows), w.outChannel))));
        const base = f.let(source);
        f.if(op("i32.eqz", w.inPlace), () => {
          f.set(base, boxes);
          fillBoxes(f, module, real, {
            ...{ table, to: boxes, imageBox: w.imageBox, from: source, imageStep: w.sourceImage },
            ...{ images, channels: w.channels, place: f.let(word(add(w.tableBands, mul(band, bandWords)))) },
          });
        });
        const rangeOf = (part: Value) => word(add(w.tableRanges, mul(add(mul(band, w.parts), part), rangeWords)));
        f.if(op("i32.or", op("i32.ne", band, listedBand), op("i32.ne", images, listedImages)), () => {
          f.set(listedBand, band);
          f.set(listedImages, images);
          f.range(0, w.parts, 1, (part) => {
            const args = [rangeOf(part), partOf(part), table, images, w.imageBox, w.outImage];
            const count = call(columnLister(module, real), add(lists, mul(part, listBytes)), ...args);
            f.store("i32.store", add(counts, mul(part, 4)), count);
          });
        });
        const weights = f.let(add(w[from], mul(group, w.packedGroup)));
        const index = f.let(add(w[from], w.indexAt));
        f.range(0, w.parts, 1, (part) => {
          const depth = f.let(mul(w.channels, load("i32.load", partOf(part))));
          const columns = f.let(add(lists, mul(part, listBytes)));
          const count = f.let(load("i32.load", add(counts, mul(part, 4))));
          const tiles = {
            ...{ base, columns, count, weights, index, depth, slice: w.slice },
            ...{ out, row0, row1, outChannel: w.outChannel, sums },
          };
          const xStep = f.let(load("i32.load", partOf(part), 12));
          const lanes = f.let(minOf(i32(real.lanes), load("i32.load", rangeOf(part), 16)));
          const neighbours = op("i32.and", eq(xStep, real.bytes), eq(lanes, real.lanes));
          f.if(
            op("i32.and", neighbours, op("i32.le_s", depth, w.slice)),
            () => directTiles(f, module, real, tiles),
            () => asideTiles(f, module, real, tiles, xStep, lanes),
          );
          f.set(weights, add(weights, mul(mul(w.rows, depth), real.bytes)));
          f.set(index, add(index, mul(depth, 4)));
        });
      });
    },
  });

/** out [n, rows, ..] = what the plan gathers from `source` [n, channels, ..] with the weights `w`. */
export const gatherCalls = (real: Real, plan: ConvPlan, source: Place, w: Place, out: Place): readonly Call[] => [
  packCall(real, plan, w, null),
  gatherCall(real, plan, source, null, out),
];

/** Elements of the weights once they are packed. */
export const packedWeights = (real: Real, plan: ConvPlan): number => ceilDiv(packedBytes(real, plan), real.bytes);

function packedBytes(real: Real, plan: ConvPlan): number {
  return layoutOf(plan, cutWork(plan, real), real).indexAt + depthOf(plan) * 4;
}

/** Packs weights to a place, or to the shared memory. */
export function packCall(real: Real, plan: ConvPlan, w: Place, to: Place | null): Call {
  const { groups, rows, channels } = plan;
  const cut = cutWork(plan, real);
  const depth = depthOf(plan);
  const tiles = ceilDiv(rows, tileRows);
  return packing(
    real,
    to ? "to" : "shared",
  )({
    buffers: { w, to: to ?? w },
    params: {
      ...layoutOf(plan, cut, real),
      tiles,
      rowStep: plan.rowStep * real.bytes,
      channelStep: plan.channelStep * real.bytes,
      groupStep: rows * depth * real.bytes,
      contiguous: Number(plan.parts.length === 1 && plan.channelStep === depth / channels),
    },
    table: convTable(plan, cut, real),
    range: groups * tiles,
    grain: grainOf(tileRows * depth),
    sharedBytes: to ? 0 : packedBytes(real, plan),
  });
}

/** Computes the outputs with weights that were packed to a place, or to the shared memory. */
export function gatherCall(real: Real, plan: ConvPlan, source: Place, packed: Place | null, out: Place): Call {
  const { n, groups, rows, channels } = plan;
  const cut = cutWork(plan, real);
  const { bands, box, images, blockRows } = cut;
  const depth = depthOf(plan);
  const [sourceChannel, outChannel] = [plan.source, plan.out].map((size) => product(size) * real.bytes);
  const [sourceGroup, outGroup] = [channels * sourceChannel, rows * outChannel];
  const [imageBlocks, rowBlocks] = [ceilDiv(n, images), ceilDiv(rows, blockRows)];
  const longest = images * longestRange(plan, cut, real);
  const sums = tileRows * (longest + 1) * 16;
  const boxes = box.inPlace ? 0 : roundUp(images * channels * box.channel * real.bytes, 16) + 64;
  return gather(
    real,
    packed ? "packed" : "shared",
  )({
    buffers: { source, packed: packed ?? source, out },
    params: {
      ...layoutOf(plan, cut, real),
      ...{ n, groups, images, bands: bands.length, rowBlocks, blockRows, inPlace: Number(box.inPlace) },
      imageBox: box.inPlace ? groups * sourceGroup : channels * box.channel * real.bytes,
      ...{ sourceImage: groups * sourceGroup, sourceGroup, outImage: groups * outGroup, outChannel },
      ...{ boxes, longest, slice: ceilDiv(depth, ceilDiv(depth, longestSlice)) },
    },
    table: convTable(plan, cut, real),
    range: bands.length * rowBlocks * groups * imageBlocks,
    grain: grainOf(longest * real.lanes * Math.min(rows, blockRows) * depth),
    threadBytes: sums + boxes + plan.parts.length * (longest * columnBytes + 4),
  });
}
