/** TensorBoard event files: protocol buffers in length-and-checksum frames.
 *  https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto */
import { type FileHandle, open, readdir, readFile, truncate } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { PbfReader, PbfWriter } from "pbf";
import { makeFolder, writeError } from "../io/atomic.ts";

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});

/** CRC-32C (Castagnoli), which Node lacks, masked as TFRecord wants it. */
export function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Length, its checksum, data, its checksum. */
function frame(data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 16);
  out.writeBigUInt64LE(BigInt(data.length));
  out.writeUInt32LE(maskedCrc32c(out.subarray(0, 8)), 8);
  out.set(data, 12);
  out.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return out;
}

/** The data of each whole record and where it ends; stops at a torn or damaged one. */
export function* records(file: Buffer): Generator<{ data: Buffer; end: number }> {
  for (let at = 0; at + 16 <= file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const end = at + 16 + length;
    if (file.readUInt32LE(at + 8) !== maskedCrc32c(file.subarray(at, at + 8)) || end > file.length) return;
    const data = file.subarray(at + 12, at + 12 + length);
    if (file.readUInt32LE(at + 12 + length) !== maskedCrc32c(data)) return;
    yield { data, end };
    at = end;
  }
}

// Field numbers of the messages Event, Summary, Summary.Value, Image, TensorProto and SummaryMetadata.
const event = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 };
const value = { tag: 1, simpleValue: 2, image: 4, tensor: 8, metadata: 9 };

type Fields = (pbf: PbfWriter) => void;

function encodeEvent(step: number, wallTime: number, fields: Fields): Buffer {
  const pbf = new PbfWriter();
  pbf.writeDoubleField(event.wallTime, wallTime);
  pbf.writeVarintField(event.step, step);
  fields(pbf);
  return frame(pbf.finish());
}

const message = (pbf: PbfWriter, tag: number, fields: Fields): void =>
  pbf.writeMessage(tag, (write: Fields, inner) => write(inner), fields);

const summary = (values: Fields[]): Fields => {
  return (pbf) => message(pbf, event.summary, (inner) => values.forEach((fields) => void message(inner, 1, fields)));
};

/** Writes the event file of one session of a run; events are buffered until `flush`. */
export class EventWriter {
  /** Summary events of the whole run, those of earlier sessions included. */
  count: number;
  readonly #file: FileHandle;
  readonly #path: string;
  #buffer: Buffer[] = [];

  private constructor(file: FileHandle, path: string, count: number) {
    this.#file = file;
    this.#path = path;
    this.count = count;
  }

  /** Opens a new file in `folder`. Of the events that are there, the first `keep` stay, in order, and those of a
   *  course that was abandoned at `step` go: here by truncation, in a running TensorBoard by a session mark. */
  static async open(folder: string, keep = 0, step = 0): Promise<EventWriter> {
    await makeFolder(folder);
    const names = (await readdir(folder)).filter((name) => name.startsWith("events.out.tfevents."));
    const index = (name: string) => Number(name.slice(name.lastIndexOf(".") + 1));
    names.sort((a, b) => index(a) - index(b));
    let count = 0;
    for (const name of names) count += await truncateEvents(join(folder, name), keep - count);
    const now = Date.now() / 1000;
    const next = names.length ? index(names[names.length - 1]) + 1 : 0;
    const path = join(folder, `events.out.tfevents.${Math.floor(now)}.${hostname()}.${next}`);
    const file = await open(path, "wx").catch((error) => {
      throw writeError(path, error);
    });
    const writer = new EventWriter(file, path, count);
    writer.#buffer.push(encodeEvent(0, now, (pbf) => pbf.writeStringField(event.fileVersion, "brain.Event:2")));
    const start: Fields = (pbf) => message(pbf, event.sessionLog, (log) => log.writeVarintField(1, 1));
    if (names.length) writer.#buffer.push(encodeEvent(step + 1, now, start));
    return writer;
  }

  /** Adds scalars of one step. */
  scalars(step: number, wallTime: number, values: Readonly<Record<string, number>>): void {
    const fields = Object.entries(values).map(([tag, number]): Fields => {
      return (pbf) => {
        pbf.writeStringField(value.tag, tag);
        pbf.writeFloatField(value.simpleValue, number);
      };
    });
    this.#add(step, wallTime, fields);
  }

  /** Adds a PNG picture. */
  image(tag: string, step: number, png: Uint8Array, size: { readonly width: number; readonly height: number }): void {
    const image: Fields = (pbf) => {
      pbf.writeVarintField(1, size.height);
      pbf.writeVarintField(2, size.width);
      pbf.writeVarintField(3, 4); // RGBA
      pbf.writeBytesField(4, png);
    };
    const fields: Fields = (pbf) => {
      pbf.writeStringField(value.tag, tag);
      message(pbf, value.image, image);
    };
    this.#add(step, Date.now() / 1000, [fields]);
  }

  /** Adds Markdown text. */
  text(tag: string, step: number, markdown: string): void {
    const tensor: Fields = (pbf) => {
      pbf.writeVarintField(1, 7); // DT_STRING
      message(pbf, 2, (shape) => message(shape, 2, (dim) => dim.writeVarintField(1, 1)));
      pbf.writeBytesField(8, Buffer.from(markdown));
    };
    const metadata: Fields = (pbf) => {
      message(pbf, 1, (plugin) => plugin.writeStringField(1, "text"));
      pbf.writeVarintField(4, 2); // DATA_CLASS_TENSOR
    };
    const fields: Fields = (pbf) => {
      pbf.writeStringField(value.tag, tag);
      message(pbf, value.tensor, tensor);
      message(pbf, value.metadata, metadata);
    };
    this.#add(step, Date.now() / 1000, [fields]);
  }

  /** Hands everything to the system; with `sync`, to the disk. */
  async flush(sync = false): Promise<void> {
    const bytes = Buffer.concat(this.#buffer);
    this.#buffer = [];
    try {
      if (bytes.length) await this.#file.writeFile(bytes);
      if (sync) await this.#file.sync();
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }

  async close(): Promise<void> {
    await this.flush().finally(() => this.#file.close());
  }

  #add(step: number, wallTime: number, values: Fields[]): void {
    this.count++;
    this.#buffer.push(encodeEvent(step, wallTime, summary(values)));
  }
}

/** Cuts a file after its first `keep` summary events; returns how many it has now. */
async function truncateEvents(path: string, keep: number): Promise<number> {
  let count = 0;
  let end = 0;
  const file = await readFile(path);
  for (const record of records(file)) {
    const found = { summary: false };
    new PbfReader(record.data).readFields((tag, into) => void (into.summary ||= tag === event.summary), found);
    if (found.summary && count === keep) break;
    if (found.summary) count++;
    end = record.end;
  }
  if (end < file.length) await truncate(path, end);
  return count;
}
