import {
  add,
  type Callee,
  call,
  div,
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
  rem,
  select,
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { boxFiller, boxTable, boxTableWords, boxWord } from "./conv-box.ts";
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
import { panelPacker } from "./pack.ts";
import { type Real, tileRows } from "./real.ts";
import { asideBytes, runTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, once, type Place, product, roundUp } from "./work.ts";

/** Bytes of the boxes of an item, which stay in the second cache. */
const boxBytes = 256 << 10;
/** Items wanted at least, and columns of an item. */
const wantedItems = 16;
const wantedColumns = 128;

/** Words of the table per part (taps, steps of the outputs in bytes), per tap, and per part of a band. */
const partWords = 4;
const tapWords = 2;
const rangeWords = 5;
const bandWords = 6;

/** How the work is cut into items: bands of positions, blocks of rows, images that one item computes together. */
interface Cut {
  readonly bands: readonly Band[];
  readonly box: ConvBox;
  readonly images: number;
  readonly blockRows: number;
}

function cutWork(plan: ConvPlan, real: Real): Cut {
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

/** See `Layout`: parts with their taps, then bands, then the part of each band. */
function convTable(plan: ConvPlan, { bands, box }: Cut, real: Real): number[] {
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
      const lo = band.lo.map((at, d) => Math.max(at, part.lo[d]));
      const size = band.hi.map((at, d) => Math.max(0, Math.min(at, part.hi[d]) - lo[d]));
      // In place, positions are counted from the source itself.
      const from = lo.map((at, d) => (box.inPlace ? at + plan.minShift[d] : at - band.lo[d]));
      const boxAt = from.reduce((sum, at, d) => sum + at * box.pitch[d], 0);
      const outAt = lo.reduce((sum, at, d) => sum + (part.step[d] * at + part.origin[d]) * outPitch[d], 0);
      return [boxAt * real.bytes, outAt * real.bytes, ...size];
    }),
  );
  return [...boxTable(plan, box, real), ...parts, ...taps, ...lists, ...ranges];
}

const depthOf = (plan: ConvPlan): number => plan.channels * plan.parts.reduce((sum, { taps }) => sum + taps.length, 0);

const layoutParams = [
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
type Layout = Record<(typeof layoutParams)[number], number>;

/** Where things lie: in the table, in words, and in the shared memory, in bytes. */
function layoutOf(plan: ConvPlan, { bands, box }: Cut, real: Real): Layout {
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

/**
 * Packs weights to [group][part][tile of rows][depth][rows], depth being (channel, tap), and writes for every part where
 * the box holds each step of the depth. An item is a tile of rows of a group.
 */
const packing = (real: Real) =>
  defineWork({
    key: `conv_pack_${real.name}`,
    buffers: ["w"],
    params: [...layoutParams, "tiles", "rowStep", "channelStep", "groupStep", "contiguous"],
    build(f, module, w, { begin, end }, table) {
      const word = (index: Value) => add(table, mul(index, 4));
      f.if(eq(begin, 0), () => {
        const to = f.let(add(w.shared, w.indexAt));
        const taps = f.let(word(w.tableTaps));
        f.range(0, w.parts, 1, (part) => {
          const count = f.let(load("i32.load", word(add(w.tableParts, mul(part, partWords)))));
          f.range(0, w.channels, 1, (channel) => {
            const from = f.let(mul(channel, w.boxChannel));
            f.range(0, count, 1, (tap) => {
              f.store("i32.store", to, add(from, load("i32.load", add(taps, mul(tap, 4 * tapWords)))));
              f.set(to, add(to, 4));
            });
          });
          f.set(taps, add(taps, mul(count, 4 * tapWords)));
        });
      });
      f.range(begin, end, 1, (item) => {
        const group = f.let(div(item, w.tiles));
        const row = f.let(mul(rem(item, w.tiles), tileRows));
        const rows = f.let(minOf(i32(tileRows), sub(w.rows, row)));
        const from = f.let(add(w.w, add(mul(group, w.groupStep), mul(row, w.rowStep))));
        const panels = f.let(add(w.shared, mul(group, w.packedGroup)));
        const taps = f.let(word(w.tableTaps));
        f.range(0, w.parts, 1, (part) => {
          const count = f.let(load("i32.load", word(add(w.tableParts, mul(part, partWords)))));
          const depth = f.let(mul(w.channels, count));
          const to = f.let(add(panels, mul(mul(row, depth), real.bytes)));
          f.if(
            w.contiguous,
            () => f.call(panelPacker(module, real, tileRows, true), to, from, w.rowStep, i32(real.bytes), rows, depth),
            () =>
              packTaps(f, real, {
                to,
                from,
                taps,
                count,
                rows,
                channels: w.channels,
                rowStep: w.rowStep,
                channelStep: w.channelStep,
              }),
          );
          f.set(panels, add(panels, mul(mul(w.rows, depth), real.bytes)));
          f.set(taps, add(taps, mul(count, 4 * tapWords)));
        });
      });
    },
  });

type Taps = Readonly<Record<"to" | "from" | "taps" | "count" | "rows" | "channels" | "rowStep" | "channelStep", Local>>;

/** A panel of the taps of one part, element by element. */
function packTaps(f: FunctionBuilder, real: Real, p: Taps): void {
  f.range(0, p.channels, 1, (channel) => {
    const first = f.let(add(p.from, mul(channel, p.channelStep)));
    f.range(0, p.count, 1, (tap) => {
      const from = f.let(add(first, load("i32.load", add(p.taps, mul(tap, 4 * tapWords)), 4)));
      f.range(0, p.rows, 1, () => {
        f.store(`${real.name}.store`, p.to, load(`${real.name}.load`, from));
        f.set(p.to, add(p.to, real.bytes));
        f.set(from, add(from, p.rowStep));
      });
    });
  });
}

/** An item is a band of some images, and a block of rows of a group. */
const gather = (real: Real) =>
  defineWork({
    key: `conv_gather_${real.name}`,
    buffers: ["source", "out"],
    params: [
      ...layoutParams,
      ...(["n", "groups", "images", "bands", "rowBlocks", "blockRows", "inPlace", "imageBox"] as const),
      ...(["sourceImage", "sourceGroup", "outImage", "outChannel", "boxes"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const word = (index: Value) => add(table, mul(index, 4));
      const boxes = f.let(add(w.own, asideBytes(real)));
      const columns = f.let(add(boxes, w.boxes));
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
          const at = f.let(word(add(w.tableBands, mul(band, bandWords))));
          const extents = [0, 1, 2, 3, 4, 5].map((i) => load("i32.load", at, 4 * i));
          f.range(0, images, 1, (image) => {
            const to = add(boxes, mul(image, w.imageBox));
            f.call(boxFiller(module, real), to, add(source, mul(image, w.sourceImage)), table, w.channels, ...extents);
          });
        });
        const weights = f.let(add(w.shared, mul(group, w.packedGroup)));
        const index = f.let(add(w.shared, w.indexAt));
        f.range(0, w.parts, 1, (part) => {
          const partAt = f.let(word(add(w.tableParts, mul(part, partWords))));
          const depth = f.let(mul(w.channels, load("i32.load", partAt)));
          const range = f.let(word(add(w.tableRanges, mul(add(mul(band, w.parts), part), rangeWords))));
          const lister = columnLister(module, real);
          const count = f.let(call(lister, columns, range, partAt, table, images, w.imageBox, w.outImage));
          const operands = {
            base,
            columns,
            count,
            weights,
            index,
            depth,
            out,
            row0,
            row1,
            outChannel: w.outChannel,
            aside: w.own,
          };
          const xStep = f.let(load("i32.load", partAt, 12));
          const width = f.let(load("i32.load", range, 16));
          f.if(
            op("i32.and", eq(xStep, real.bytes), op("i32.ge_s", width, i32(real.lanes))),
            () => gatherTiles(f, module, real, operands),
            () => gatherAside(f, module, real, operands, xStep, minOf(width, i32(real.lanes))),
          );
          f.set(weights, add(weights, mul(mul(w.rows, depth), real.bytes)));
          f.set(index, add(index, mul(depth, 4)));
        });
      });
    },
  });

/** Bytes of a column in the list: where it begins in the box and in the output. */
const columnBytes = 8;

/**
 * (to, range, part, table, images, imageBox, outImage): lists the vectors of positions of one part, row by row; the last one
 * of a row begins within the one before it, unless the row is shorter than a vector. Returns their number.
 */
function columnLister(module: ModuleBuilder, real: Real): Callee {
  return once(module, `list columns ${real.name}`, () =>
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

type Tiles = Readonly<
  Record<
    "base" | "columns" | "count" | "weights" | "index" | "depth" | "out" | "row0" | "row1" | "outChannel" | "aside",
    Local
  >
>;

/** Every tile of rows times every pair of listed columns. */
function eachTile(
  f: FunctionBuilder,
  real: Real,
  p: Tiles,
  tile: (
    operands: { a: Value; b: Value; b1: Value; bIndex: Value; depth: Value; accumulate: Value },
    at: { to: Value; to1: Value; rows: Value; vectors: Value },
  ) => void,
): void {
  f.range(p.row0, p.row1, tileRows, (row) => {
    const rows = f.let(minOf(i32(tileRows), sub(p.row1, row)));
    const a = f.let(add(p.weights, mul(mul(row, p.depth), real.bytes)));
    const out = f.let(add(p.out, mul(row, p.outChannel)));
    f.range(0, p.count, 2, (j) => {
      const at = f.let(add(p.columns, mul(j, columnBytes)));
      const vectors = f.let(minOf(i32(2), sub(p.count, j)));
      const [b, to] = [0, 4].map((word) => f.let(load("i32.load", at, word)));
      const second = f.let(add(at, mul(sub(vectors, 1), columnBytes)));
      const [b1, to1] = [0, 4].map((word) => load("i32.load", second, word));
      tile(
        { a, b: add(p.base, b), b1: add(p.base, b1), bIndex: p.index, depth: p.depth, accumulate: i32(0) },
        { to: add(out, to), to1: add(out, to1), rows, vectors },
      );
    });
  });
}

function gatherTiles(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: Tiles): void {
  eachTile(f, real, p, (operands, { to, to1, rows, vectors }) =>
    runTile(
      f,
      module,
      real,
      "packed indexed",
      { ...operands, c: to, c1: to1, cStep: p.outChannel },
      rows,
      mul(vectors, real.lanes),
    ),
  );
}

/** The same where outputs are no whole vectors: tiles stand aside, and the first `count` of each vector are stored. */
function gatherAside(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  p: Tiles,
  xStep: Local,
  count: Value,
): void {
  const lanes = f.let(count);
  eachTile(f, real, p, (operands, { to, to1, rows, vectors }) => {
    const aside = { c: p.aside, c1: add(p.aside, 16), cStep: i32(32) };
    runTile(f, module, real, "packed indexed", { ...operands, ...aside }, rows, mul(vectors, real.lanes));
    [to, to1].forEach((target, v) => {
      f.if(lt(i32(v), vectors), () =>
        f.call(scatter(module, real), add(p.aside, 16 * v), target, p.outChannel, xStep, rows, lanes),
      );
    });
  });
}

/** (aside, to, rowStep, xStep, rows, lanes): stores the first lanes of a vector per row. */
function scatter(module: ModuleBuilder, real: Real): Callee {
  return once(module, `scatter tile ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, aside, to, rowStep, xStep, rows, lanes) => {
        f.range(0, rows, 1, () => {
          const [from, at] = [f.let(aside), f.let(to)];
          f.range(0, lanes, 1, () => {
            f.store(`${real.name}.store`, at, load(`${real.name}.load`, from));
            f.set(from, add(from, real.bytes));
            f.set(at, add(at, xStep));
          });
          f.set(aside, add(aside, 32));
          f.set(to, add(to, rowStep));
        });
        return undefined;
      },
    ),
  );
}

/** out [n, rows, ..] = what the plan gathers from `source` [n, channels, ..] with the weights `w`. */
export function gatherCalls(real: Real, plan: ConvPlan, source: Place, w: Place, out: Place): readonly Call[] {
  const { n, groups, rows, channels } = plan;
  const cut = cutWork(plan, real);
  const { bands, box, images, blockRows } = cut;
  const layout = layoutOf(plan, cut, real);
  const table = convTable(plan, cut, real);
  const depth = depthOf(plan);
  const [sourceChannel, outChannel] = [plan.source, plan.out].map((size) => product(size) * real.bytes);
  const [sourceGroup, outGroup] = [channels * sourceChannel, rows * outChannel];
  const volume = depth / channels;
  const [imageBlocks, rowBlocks, tiles] = [ceilDiv(n, images), ceilDiv(rows, blockRows), ceilDiv(rows, tileRows)];
  const positions = Math.max(...bands.map((band) => product(bandSize(band))));
  const boxes = box.inPlace ? 0 : roundUp(images * channels * box.channel * real.bytes, 16) + 64;
  const columns = images * plan.parts.length * positions * columnBytes;
  return [
    packing(real)({
      buffers: { w },
      params: {
        ...layout,
        tiles,
        rowStep: plan.rowStep * real.bytes,
        channelStep: plan.channelStep * real.bytes,
        groupStep: rows * channels * volume * real.bytes,
        contiguous: Number(plan.parts.length === 1 && plan.channelStep === volume),
      },
      table,
      range: groups * tiles,
      grain: grainOf(tileRows * depth),
      sharedBytes: layout.indexAt + depth * 4,
    }),
    gather(real)({
      buffers: { source, out },
      params: {
        ...layout,
        ...{ n, groups, images, bands: bands.length, rowBlocks, blockRows, inPlace: Number(box.inPlace) },
        imageBox: box.inPlace ? groups * sourceGroup : channels * box.channel * real.bytes,
        ...{ sourceImage: groups * sourceGroup, sourceGroup, outImage: groups * outGroup, outChannel, boxes },
      },
      table,
      range: bands.length * rowBlocks * groups * imageBlocks,
      grain: grainOf((images * positions * blockRows * depth) / plan.parts.length),
      threadBytes: asideBytes(real) + boxes + columns,
    }),
  ];
}
