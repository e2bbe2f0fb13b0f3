import {
  add,
  div,
  eq,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  minOf,
  mul,
  rem,
  sub,
  type Value,
} from "../assembler.ts";
import { layoutParams, partWords, tapWords } from "./conv-table.ts";
import { panelPacker } from "./pack.ts";
import { type Real, tileRows } from "./real.ts";
import { defineWork } from "./work.ts";

/**
 * Packs weights to [group][part][tile of rows][depth][rows], depth being (channel, tap), and writes for every part where
 * the box holds each step of the depth; to a buffer, or to the shared memory (`to` is then not looked at). An item is a tile
 * of rows of a group.
 */
export const packing = (real: Real, target: "to" | "shared") =>
  defineWork({
    key: `conv_pack_${target}_${real.name}`,
    buffers: ["w", "to"],
    params: [...layoutParams, "tiles", "rowStep", "channelStep", "groupStep", "contiguous"],
    build(f, module, w, { begin, end }, table) {
      const word = (index: Value) => add(table, mul(index, 4));
      f.if(eq(begin, 0), () => {
        const to = f.let(add(w[target], w.indexAt));
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
        const panels = f.let(add(w[target], mul(group, w.packedGroup)));
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
  f.if(
    eq(p.rows, tileRows),
    () => packTapsOfRows(f, real, p, tileRows),
    () =>
      f.range(0, p.rows, 1, (row) => {
        const [to, from] = [f.let(add(p.to, mul(row, real.bytes))), f.let(add(p.from, mul(row, p.rowStep)))];
        packTapsOfRows(f, real, { ...p, to, from }, 1);
      }),
  );
}

/** The same for so many rows; a step of the panel is `rows` of `p` long. */
function packTapsOfRows(f: FunctionBuilder, real: Real, p: Taps, count: number): void {
  const sources = Array.from({ length: count }, (_, row) => f.let(add(p.from, mul(p.rowStep, row))));
  const pitch = f.let(mul(p.rows, real.bytes));
  const to = f.let(p.to);
  f.range(0, p.channels, 1, () => {
    const tap = f.let(p.taps);
    f.range(0, p.count, 1, () => {
      const offset = f.let(load("i32.load", tap, 4));
      sources.forEach((source, row) => {
        f.store(`${real.name}.store`, to, load(`${real.name}.load`, add(source, offset)), row * real.bytes);
      });
      f.set(to, add(to, pitch));
      f.set(tap, add(tap, 4 * tapWords));
    });
    for (const source of sources) f.set(source, add(source, p.channelStep));
  });
}
