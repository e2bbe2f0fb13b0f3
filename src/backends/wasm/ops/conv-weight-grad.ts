import {
  add,
  div,
  extract,
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
  sub,
  type Value,
} from "../assembler.ts";
import type { Call } from "../call.ts";
import { boxTable, boxTableWords, boxWord, fillBoxes } from "./conv-box.ts";
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
import { type Real, tileColumns, tileRows, transposeLanes } from "./real.ts";
import { runTile } from "./tile.ts";
import { ceilDiv, defineWork, grainOf, type Place, product, roundUp } from "./work.ts";

/** Bytes of the boxes of a unit, of a panel of dy, and of all sums if there are several of each. */
const boxBytes = 192 << 10;
const panelBytes = 8 << 10;
const sumsBytes = 4 << 20;
const wantedItems = 16;
/** Positions that pay for sums of their own, rows that pay for packing dy once more. */
const splitPositions = 2048;
const splitRows = 48;

/** A unit is a band of some images. Units are split among items, whose sums are added up; so are channels. */
interface Cut {
  readonly bands: readonly Band[];
  readonly box: ConvBox;
  readonly images: number;
  readonly units: number;
  readonly unitSplits: number;
  readonly channelSplits: number;
  /** Positions of one product. */
  readonly positions: number;
}

function cutWork(plan: ConvPlan, real: Real): Cut {
  const { n, groups, channels, rows, parts } = plan;
  const volume = product(plan.out);
  const taps = parts[0].taps.length;
  const limit = panelBytes / (tileColumns(real) * real.bytes);
  const weights = groups * rows * channels * taps;
  const wanted = ceilDiv(wantedItems, groups);
  const affordable = Math.max(1, Math.floor(sumsBytes / (weights * real.bytes)));
  const bySize = Math.max(1, Math.min(wanted, affordable, Math.floor((n * volume) / splitPositions)));
  const channelSplits = Math.max(
    1,
    Math.min(channels, ceilDiv(wanted, bySize), Math.floor((channels * taps) / splitRows)),
  );

  const size = bandSize(plan);
  const axis = size.findIndex((d) => d > 1);
  const bandAxis = axis < 0 ? 2 : axis;
  const units = bandAxis === 2 ? ceilDiv(size[2], real.lanes) : size[bandAxis];
  const bytesOf = (box: ConvBox) => (box.inPlace ? 0 : ceilDiv(channels, channelSplits) * box.channel * real.bytes);
  const fitting = ceilDiv(bytesOf(boxLayout(plan, [plan], real.lanes)), boxBytes);
  const bands = bandsOf(
    plan,
    bandAxis,
    Math.max(1, Math.min(units, Math.max(fitting, ceilDiv(bySize, n)))),
    real.lanes,
  );
  const box = boxLayout(plan, bands, real.lanes);
  const fit = Math.floor(boxBytes / Math.max(1, bytesOf(box)));
  const images = bands.length > 1 ? 1 : Math.max(1, Math.min(Math.floor(n / bySize), Math.floor(limit / volume), fit));
  const count = ceilDiv(n, images) * bands.length;
  return { bands, box, images, units: count, unitSplits: Math.min(bySize, count), channelSplits, positions: limit };
}

/** Words of a band: where its box begins, its extents, its first output and its first place in bytes, positions, sizes. */
const bandWords = 12;

/** The box, the offsets of the taps, then the bands. */
function weightGradTable(plan: ConvPlan, { bands, box }: Cut, real: Real): number[] {
  const taps = plan.parts[0].taps.map((tap) => tapOffset(plan, box, tap) * real.bytes);
  const outPitch = [plan.out[1] * plan.out[2], plan.out[2], 1];
  const lists = bands.flatMap((band) => {
    const size = bandSize(band);
    const first = band.lo.reduce((sum, at, d) => sum + at * outPitch[d], 0);
    const start = box.inPlace ? band.lo.reduce((sum, at, d) => sum + at * box.pitch[d], 0) : 0;
    return [...band.lo, ...boxExtent(plan, size), first * real.bytes, start * real.bytes, product(size), ...size];
  });
  return [...boxTable(plan, box, real), ...taps, ...lists];
}

/**
 * The tile computes the transpose: rows are (channel, tap), read as scalars of the box through a table of positions, and
 * columns are output channels, of which dy is packed a panel at a time. An item is a group, a part of its channels and a
 * part of the units; its sums are [group][part of the units][panel of output channels][channel, tap][columns of a tile].
 */
const weightGrad = (real: Real) => {
  const width = tileColumns(real);
  const rowBytes = width * real.bytes;
  return defineWork({
    key: `conv_weight_grad_${real.name}`,
    buffers: ["x", "dy"],
    params: [
      ...(["n", "groups", "rows", "channels", "taps", "tapsAt", "bandsAt", "bands", "images", "units"] as const),
      ...(["unitSplits", "channelSplits", "positions", "inPlace", "imageBox", "boxChannel", "longest"] as const),
      ...(["xImage", "xChannel", "dyImage", "dyChannel", "panels"] as const),
    ],
    build(f, module, w, { begin, end }, table) {
      const word = (index: Value) => add(table, mul(index, 4));
      const rowTable = w.own;
      const positions = f.let(add(rowTable, mul(mul(w.channels, w.taps), 4)));
      const panel = f.let(add(positions, mul(w.longest, 4)));
      const boxes = f.let(add(panel, mul(w.positions, rowBytes)));
      const { channels, taps, boxChannel, imageBox } = w;
      writeRowTable(f, { to: rowTable, channels, taps, boxChannel, from: word(w.tapsAt) });
      const panelSums = f.let(mul(mul(channels, taps), rowBytes));
      /** Where part `i` of `parts` begins. */
      const cut = (size: Value, parts: Value, i: Value) => f.let(div(mul(size, i), parts));
      f.range(begin, end, 1, (item) => {
        const channelSplit = f.let(rem(item, w.channelSplits));
        const rest = f.let(div(item, w.channelSplits));
        const group = f.let(div(rest, w.unitSplits));
        const split = f.let(rem(rest, w.unitSplits));
        const c0 = cut(channels, w.channelSplits, channelSplit);
        const some = f.let(sub(cut(channels, w.channelSplits, add(channelSplit, 1)), c0));
        const sums = f.let(add(w.shared, mul(mul(rest, w.panels), panelSums)));
        f.set(sums, add(sums, mul(mul(c0, taps), rowBytes)));
        const accumulate = f.let(i32(0));
        f.range(cut(w.units, w.unitSplits, split), cut(w.units, w.unitSplits, add(split, 1)), 1, (unit) => {
          const first = f.let(mul(div(unit, w.bands), w.images));
          const images = f.let(minOf(w.images, sub(w.n, first)));
          const band = f.let(word(add(w.bandsAt, mul(rem(unit, w.bands), bandWords))));
          const [firstOutput, firstPlace, bandVolume] = [24, 28, 32].map((at) => f.let(load("i32.load", band, at)));
          const x = f.let(add(w.x, add(mul(first, w.xImage), mul(add(mul(group, channels), c0), w.xChannel))));
          const base = f.let(add(x, firstPlace));
          f.if(op("i32.eqz", w.inPlace), () => {
            f.set(base, boxes);
            const source = { from: x, imageStep: w.xImage, images, channels: some };
            fillBoxes(f, module, real, { table, to: boxes, imageBox, place: band, ...source });
          });
          listPositions(f, real, { to: positions, size: f.let(add(band, 36)), table, images, imageBox });
          const dy = f.let(add(w.dy, add(mul(first, w.dyImage), mul(mul(group, w.rows), w.dyChannel))));
          f.set(dy, add(dy, firstOutput));
          const total = f.let(mul(images, bandVolume));
          f.range(0, total, w.positions, (p) => {
            const count = f.let(minOf(w.positions, sub(total, p)));
            const index = f.let(add(positions, mul(p, 4)));
            f.range(0, w.rows, width, (o) => {
              const lanes = f.let(minOf(i32(width), sub(w.rows, o)));
              const from = f.let(add(dy, mul(o, w.dyChannel)));
              const { dyImage, dyChannel } = w;
              packPositions(f, module, real, {
                to: panel,
                from,
                lanes,
                first: p,
                count,
                bandVolume,
                dyImage,
                dyChannel,
              });
              const to = f.let(add(sums, mul(div(o, width), panelSums)));
              const rows = f.let(mul(some, taps));
              addProducts(f, module, real, { base, rowTable, index, panel, to, rows, count, accumulate, lanes });
            });
            f.set(accumulate, i32(1));
          });
        });
      });
    },
  });
};

type Products = Readonly<
  Record<"base" | "rowTable" | "index" | "panel" | "to" | "rows" | "count" | "accumulate" | "lanes", Local>
>;

/** Adds the products of some positions to the sums of one panel of output channels. */
function addProducts(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: Products): void {
  const rowBytes = tileColumns(real) * real.bytes;
  f.range(0, p.rows, tileRows, (row) => {
    const operands = {
      ...{ a: p.base, aOffsets: add(p.rowTable, mul(row, 4)), aIndex: p.index, b: p.panel, depth: p.count },
      ...{ c: add(p.to, mul(row, rowBytes)), cStep: i32(rowBytes), accumulate: p.accumulate },
    };
    runTile(f, module, real, "indexed packed", operands, minOf(i32(tileRows), sub(p.rows, row)), p.lanes);
  });
}

type RowTable = Readonly<Record<"channels" | "taps" | "boxChannel" | "to", Local>> & { readonly from: Value };

/** Where each (channel, tap) lies in the box. */
function writeRowTable(f: FunctionBuilder, { to, channels, taps, boxChannel, from }: RowTable): void {
  const at = f.let(to);
  const offsets = f.let(from);
  f.range(0, channels, 1, (channel) => {
    const start = f.let(mul(channel, boxChannel));
    f.range(0, taps, 1, (tap) => {
      f.store("i32.store", at, add(start, load("i32.load", add(offsets, mul(tap, 4)))));
      f.set(at, add(at, 4));
    });
  });
}

type Positions = Readonly<Record<"to" | "size" | "images" | "imageBox", Local>> & { readonly table: Value };

/** Where each position of a unit lies in its boxes. */
function listPositions(f: FunctionBuilder, real: Real, { to, size, table, images, imageBox }: Positions): void {
  const at = f.let(to);
  const [z, y, x] = [0, 1, 2].map((i) => f.let(load("i32.load", size, 4 * i)));
  const [pitchZ, pitchY] = ["pitchZ", "pitchY"].map((name) => f.let(load("i32.load", table, 4 * boxWord(name))));
  f.range(0, images, 1, (image) =>
    f.range(0, z, 1, (iz) => {
      const row = f.let(add(mul(image, imageBox), mul(iz, pitchZ)));
      f.range(0, y, 1, () => {
        f.range(0, x, 1, (ix) => {
          f.store("i32.store", at, add(row, mul(ix, real.bytes)));
          f.set(at, add(at, 4));
        });
        f.set(row, add(row, pitchY));
      });
    }),
  );
}

type PackedPositions = Readonly<
  Record<"to" | "from" | "lanes" | "first" | "count" | "bandVolume" | "dyImage" | "dyChannel", Local>
>;

/** A panel [position][output channel] of dy; positions go on from image to image. */
function packPositions(f: FunctionBuilder, module: ModuleBuilder, real: Real, p: PackedPositions): void {
  const width = tileColumns(real);
  const to = f.let(p.to);
  const at = f.let(p.first);
  const end = f.let(add(p.first, p.count));
  f.while(
    () => lt(at, end),
    () => {
      const q = f.let(rem(at, p.bandVolume));
      const run = f.let(minOf(sub(end, at), sub(p.bandVolume, q)));
      const from = add(p.from, add(mul(div(at, p.bandVolume), p.dyImage), mul(q, real.bytes)));
      f.call(panelPacker(module, real, width, false), to, from, p.dyChannel, i32(real.bytes), p.lanes, run);
      f.set(to, add(to, mul(run, width * real.bytes)));
      f.set(at, add(at, run));
    },
  );
}

/** dw [group][o][channel, tap] = the sums of all splits, transposed. An item is a vector of output channels of a group. */
const collect = (real: Real) => {
  const { lanes, bytes } = real;
  const width = tileColumns(real);
  return defineWork({
    key: `conv_collect_${real.name}`,
    buffers: ["dw"],
    params: ["outputs", "rows", "vectors", "splits", "panels"],
    build(f, _module, w, { begin, end }) {
      const panelSums = f.let(mul(w.rows, width * bytes));
      const splitSums = f.let(mul(panelSums, w.panels));
      f.range(begin, end, 1, (item) => {
        const group = f.let(div(item, w.vectors));
        const o = f.let(mul(rem(item, w.vectors), lanes));
        const valid = f.let(minOf(i32(lanes), sub(w.outputs, o)));
        const from = f.let(add(w.shared, mul(mul(group, w.splits), splitSums)));
        f.set(from, add(from, add(mul(div(o, width), panelSums), mul(rem(o, width), bytes))));
        const to = f.let(add(w.dw, mul(mul(add(mul(group, w.outputs), o), w.rows), bytes)));
        const row = f.let(i32(0));
        const step = (count: number, store: (totals: Local[]) => void) => {
          const totals = Array.from({ length: count }, (_, r) => f.let(load("v128.load", from, r * width * bytes)));
          const next = f.let(from);
          f.range(1, w.splits, 1, () => {
            f.set(next, add(next, splitSums));
            totals.forEach((total, r) => {
              f.set(total, op(`${real.shape}.add`, total, load("v128.load", next, r * width * bytes)));
            });
          });
          store(totals);
          f.set(from, add(from, count * width * bytes));
          f.set(to, add(to, count * bytes));
          f.set(row, add(row, count));
        };
        const eachLane = (store: (at: Value, lane: number) => void) => {
          const at = f.let(to);
          for (let lane = 0; lane < lanes; lane++) {
            f.if(lt(i32(lane), valid), () => store(at, lane));
            f.set(at, add(at, mul(w.rows, bytes)));
          }
        };
        f.while(
          () => op("i32.le_s", add(row, lanes), w.rows),
          () =>
            step(lanes, (totals) => {
              const columns = transposeLanes(f, real, totals);
              eachLane((at, lane) => f.store("v128.store", at, columns[lane]));
            }),
        );
        f.while(
          () => lt(row, w.rows),
          () =>
            step(1, ([total]) =>
              eachLane((at, lane) => f.store(`${real.name}.store`, at, extract(real.shape, total, lane))),
            ),
        );
      });
    },
  });
};

/** dw = what a forward convolution by `plan` gives x and dy; there is a position, and a weight. */
export function weightGradCalls(real: Real, plan: ConvPlan, x: Place, dy: Place, dw: Place): readonly Call[] {
  const { n, groups, rows, channels } = plan;
  const cut = cutWork(plan, real);
  const { bands, box, images, units, unitSplits, channelSplits, positions } = cut;
  const taps = plan.parts[0].taps.length;
  const tapsAt = boxTableWords(plan);
  const width = tileColumns(real);
  const panels = ceilDiv(rows, width);
  const [xChannel, dyChannel] = [plan.source, plan.out].map((size) => product(size) * real.bytes);
  const longest = images * Math.max(...bands.map((band) => product(bandSize(band))));
  const boxes = box.inPlace ? 0 : images * ceilDiv(channels, channelSplits) * box.channel * real.bytes + 64;
  const vectors = ceilDiv(rows, real.lanes);
  return [
    weightGrad(real)({
      buffers: { x, dy },
      params: {
        ...{ n, groups, rows, channels, taps, tapsAt, bandsAt: tapsAt + taps },
        ...{ bands: bands.length, images, units, unitSplits, channelSplits, positions, longest, panels },
        ...{ inPlace: Number(box.inPlace), boxChannel: box.channel * real.bytes },
        imageBox: box.inPlace
          ? groups * channels * xChannel
          : ceilDiv(channels, channelSplits) * box.channel * real.bytes,
        ...{ xImage: groups * channels * xChannel, xChannel, dyImage: groups * rows * dyChannel, dyChannel },
      },
      table: weightGradTable(plan, cut, real),
      range: groups * unitSplits * channelSplits,
      grain: grainOf((n * product(plan.out) * rows * channels * taps) / (unitSplits * channelSplits)),
      sharedBytes: groups * unitSplits * panels * channels * taps * width * real.bytes,
      threadBytes: roundUp(4 * (channels * taps + longest), 16) + positions * width * real.bytes + boxes,
    }),
    collect(real)({
      buffers: { dw },
      params: { outputs: rows, rows: channels * taps, vectors, splits: unitSplits, panels },
      range: groups * vectors,
      grain: grainOf(4 * real.lanes * channels * taps * unitSplits),
    }),
  ];
}
