/** Protocol buffers by tables of fields: what a message is in TypeScript, and how it is written and read.
 *  https://protobuf.dev/programming-guides/encoding/ */
import { PbfReader, PbfWriter } from "pbf";
import { FormatError } from "../core/errors.ts";

/** How one value of a field is written and read. */
interface Kind<T> {
  /** Wire type: 0 variable-length integer, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  readonly wire: 0 | 1 | 2 | 5;
  write(pbf: PbfWriter, value: T): void;
  read(pbf: PbfReader, end: number): T;
}

interface Field<T> {
  readonly tag: number;
  readonly decode: (pbf: PbfReader, wire: number, end: number, before: T | undefined) => T;
  readonly encode: (pbf: PbfWriter, value: T) => void;
}

/** A table of the fields of message T; fields of the file that are not in it are skipped. */
export type Message<T> = { readonly [K in keyof T]-?: Field<NonNullable<T[K]>> };

const wires = [0, 1, 2, 5];

function readValue<T>(pbf: PbfReader, kind: Kind<T>, wire: number, end: number): T {
  if (wire !== kind.wire) throw new FormatError(`a field has wire type ${wire}, expected ${kind.wire}`);
  return kind.read(pbf, wire === 2 ? lengthEnd(pbf, end) : end);
}

/** Where a length-delimited value that begins here ends; the position is behind its length then. */
function lengthEnd(pbf: PbfReader, end: number): number {
  const length = pbf.readVarint();
  const stop = pbf.pos + length;
  if (!(length >= 0 && stop <= end)) throw new FormatError(`a field of ${length} bytes reaches beyond byte ${end}`);
  return stop;
}

/** A field that stands once; of several the last one counts. */
const one =
  <T>(kind: Kind<T>) =>
  (tag: number): Field<T> => ({
    tag,
    decode: (pbf, wire, end) => readValue(pbf, kind, wire, end),
    encode(pbf, value) {
      pbf.writeVarint(tag * 8 + kind.wire);
      kind.write(pbf, value);
    },
  });

/** A field that may stand many times; numbers may also be packed into one. */
const many =
  <T>(kind: Kind<T>) =>
  (tag: number): Field<readonly T[]> => ({
    tag,
    decode(pbf, wire, end, before = []) {
      const values = before as T[];
      if (wire === 2 && kind.wire !== 2) {
        const stop = lengthEnd(pbf, end);
        while (pbf.pos < stop) values.push(kind.read(pbf, stop));
      } else values.push(readValue(pbf, kind, wire, end));
      return values;
    },
    encode(pbf, values) {
      for (const value of values) {
        pbf.writeVarint(tag * 8 + kind.wire);
        kind.write(pbf, value);
      }
    },
  });

/** Integers of up to 53 bits; larger ones are rounded. */
const int64: Kind<number> = {
  wire: 0,
  write: (pbf, value) => pbf.writeVarint(value),
  read: (pbf) => pbf.readVarint(true),
};
const float32: Kind<number> = {
  wire: 5,
  write: (pbf, value) => pbf.writeFloat(value),
  read: (pbf) => pbf.readFloat(),
};
const float64: Kind<number> = {
  wire: 1,
  write: (pbf, value) => pbf.writeDouble(value),
  read: (pbf) => pbf.readDouble(),
};
const bytesKind: Kind<Uint8Array> = {
  wire: 2,
  write: (pbf, value) => pbf.writeBytes(value),
  read(pbf, end) {
    const view = pbf.buf.subarray(pbf.pos, end);
    pbf.pos = end;
    return view;
  },
};
const textKind: Kind<string> = {
  wire: 2,
  write: (pbf, value) => pbf.writeString(value),
  read: (pbf, end) => new TextDecoder().decode(bytesKind.read(pbf, end)),
};
const messageKind = <T>(table: () => Message<T>): Kind<T> => ({
  wire: 2,
  write: (pbf, value) => pbf.writeRawMessage((v: T, inner: PbfWriter) => writeFields(inner, table(), v), value),
  read: (pbf, end) => readFields(pbf, table(), end),
});

export const integer = one(int64);
export const float = one(float32);
export const bytes = one(bytesKind);
export const text = one(textKind);
export const texts = many(textKind);
export const integers = many(int64);
export const floats = many(float32);
export const doubles = many(float64);
export const bytesList = many(bytesKind);
export const message = <T>(table: () => Message<T>) => one(messageKind(table));
export const messages = <T>(table: () => Message<T>) => many(messageKind(table));

function writeFields<T>(pbf: PbfWriter, table: Message<T>, value: T): void {
  for (const key in table) {
    const field = value[key];
    if (field !== undefined && field !== null) table[key].encode(pbf, field);
  }
}

function readFields<T>(pbf: PbfReader, table: Message<T>, end: number): T {
  const value: Partial<T> = {};
  const byTag = new Map<number, keyof T>();
  for (const key in table) byTag.set(table[key].tag, key);
  while (pbf.pos < end) {
    const start = pbf.pos;
    const head = pbf.readVarint();
    const [tag, wire] = [Math.floor(head / 8), head % 8];
    if (!(tag > 0) || !wires.includes(wire)) throw new FormatError(`byte ${start} begins no field`);
    const key = byTag.get(tag);
    if (key === undefined) skip(pbf, wire, end);
    else value[key] = table[key].decode(pbf, wire, end, value[key] ?? undefined);
    if (!(pbf.pos <= end)) throw new FormatError(`the field at byte ${start} reaches beyond byte ${end}`);
  }
  return value as T;
}

function skip(pbf: PbfReader, wire: number, end: number): void {
  if (wire === 0) pbf.readVarint();
  else pbf.pos = wire === 2 ? lengthEnd(pbf, end) : pbf.pos + (wire === 1 ? 8 : 4);
}

export function encodeMessage<T>(table: Message<T>, value: T): Uint8Array<ArrayBuffer> {
  const pbf = new PbfWriter();
  writeFields(pbf, table, value);
  return pbf.finish() as Uint8Array<ArrayBuffer>;
}

/** Byte strings of the result are views of `data`. Throws `FormatError` for what is truncated or no such message. */
export function decodeMessage<T>(label: string, table: Message<T>, data: Uint8Array): T {
  try {
    return readFields(new PbfReader(data), table, data.length);
  } catch (error) {
    // Reads beyond the end, and integers longer than ten bytes, throw errors of other kinds.
    throw new FormatError(`${label}: truncated or damaged: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
