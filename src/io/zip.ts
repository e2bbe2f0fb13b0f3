/** Stored (uncompressed) zip archives, as torch.save writes them; zip64 included.
 *  https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
import { FormatError } from "../core/errors.ts";
import type { Source } from "./source.ts";

/** Bytes of a file. */
export interface Span {
  readonly begin: number;
  readonly length: number;
}

/** The bytes of one entry. */
export interface ZipEntry extends Span {
  readonly compressed: boolean;
}

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator: 0x07064b50 };
const [localSize, centralSize, endSize, end64Size, locatorSize] = [30, 46, 22, 56, 20];
const longestComment = 0xffff;
/** A larger directory is refused before it is read. A checkpoint of 100,000 tensors has one of 10 MB. */
const directoryLimit = 256e6;

/** What the central directory says of an entry. */
interface Listed extends Omit<ZipEntry, "begin"> {
  readonly name: string;
  readonly header: number;
}

/** The entries of an archive by name. Throws `FormatError` where it is truncated or encrypted, or entries overlap,
 *  repeat a name or lie outside of the file. */
export async function readZip(source: Source): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const listed = parseDirectory(source.label, new DataView(await source.read(directory.begin, directory.length)));
  listed.sort((a, b) => a.header - b.header);
  const entries = new Map<string, ZipEntry>();
  for (const [i, { name, length, header, compressed }] of listed.entries()) {
    const begin = await dataStart(source, name, header, directory.begin);
    const limit = listed[i + 1]?.header ?? directory.begin;
    if (begin + length > limit)
      throw new FormatError(
        `${source.label}: entry "${name}" ends at byte ${begin + length}, beyond ${limit}, where the next part begins`,
      );
    if (entries.has(name)) throw new FormatError(`${source.label}: the archive has the entry "${name}" twice`);
    entries.set(name, { begin, length, compressed });
  }
  return entries;
}

/** The central directory, found from the end of the file. */
async function findDirectory({ label, size, read }: Source): Promise<Span> {
  const length = Math.min(size, longestComment + endSize);
  const tail = new DataView(await read(size - length, length));
  let at = length - endSize;
  while (at >= 0 && tail.getUint32(at, true) !== signatures.end) at--;
  if (at < 0) throw new FormatError(`${label}: the zip archive has no directory at its end; the file is truncated`);
  const end = size - length + at;
  let directory: Span = { length: tail.getUint32(at + 12, true), begin: tail.getUint32(at + 16, true) };
  if (directory.length === 0xffffffff || directory.begin === 0xffffffff || tail.getUint16(at + 10, true) === 0xffff)
    directory = await findDirectory64({ label, read }, end);
  if (directory.length > directoryLimit)
    throw new FormatError(`${label}: the zip directory claims ${directory.length} bytes; at most ${directoryLimit}`);
  if (directory.begin + directory.length > end)
    throw new FormatError(`${label}: the zip directory lies outside of the file; the file is truncated or corrupt`);
  return directory;
}

async function findDirectory64({ label, read }: Pick<Source, "label" | "read">, end: number): Promise<Span> {
  const broken = new FormatError(`${label}: the zip64 directory is damaged`);
  if (end < locatorSize) throw broken;
  const locator = new DataView(await read(end - locatorSize, locatorSize));
  const at = locator.getUint32(0, true) === signatures.locator ? uint64(label, locator, 8) : -1;
  if (at < 0 || at + end64Size > end - locatorSize) throw broken;
  const record = new DataView(await read(at, end64Size));
  if (record.getUint32(0, true) !== signatures.end64) throw broken;
  return { length: uint64(label, record, 40), begin: uint64(label, record, 48) };
}

function parseDirectory(label: string, view: DataView): Listed[] {
  const listed: Listed[] = [];
  for (let at = 0; at < view.byteLength; ) {
    if (at + centralSize > view.byteLength || view.getUint32(at, true) !== signatures.central)
      throw new FormatError(`${label}: the zip directory is damaged at its byte ${at}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const next = at + centralSize + nameLength + extraLength + commentLength;
    if (next > view.byteLength) throw new FormatError(`${label}: the zip directory is damaged at its byte ${at}`);
    const name = new TextDecoder().decode(new Uint8Array(view.buffer, at + centralSize, nameLength));
    listed.push(parseListed(label, name, view, at, at + centralSize + nameLength, extraLength));
    at = next;
  }
  return listed;
}

function parseListed(
  label: string,
  name: string,
  view: DataView,
  at: number,
  extra: number,
  extraLength: number,
): Listed {
  const fail = (why: string) => new FormatError(`${label}: entry "${name}" ${why}`);
  if (view.getUint16(at + 8, true) & 1) throw fail("is encrypted");
  let [packed, length, header] = [20, 24, 42].map((field) => view.getUint32(at + field, true));
  // Fields that do not fit 32 bits stand in the zip64 extra field, in this order.
  for (let field = extra; field + 4 <= extra + extraLength; ) {
    const [id, size] = [view.getUint16(field, true), view.getUint16(field + 2, true)];
    if (field + 4 + size > extra + extraLength) throw fail("has a damaged extra field");
    if (id === 1) {
      let from = field + 4;
      const wide = (value: number): number => {
        if (value !== 0xffffffff) return value;
        if (from + 8 > field + 4 + size) throw fail("has a damaged zip64 field");
        return uint64(label, view, (from += 8) - 8);
      };
      [length, packed, header] = [wide(length), wide(packed), wide(header)];
    }
    field += 4 + size;
  }
  const compressed = view.getUint16(at + 10, true) !== 0;
  if (!compressed && packed !== length) throw fail(`takes ${packed} bytes in the archive and ${length} outside of it`);
  return { name, length: packed, header, compressed };
}

/** Where the bytes of an entry begin, which only its own header tells. */
async function dataStart(source: Source, name: string, header: number, end: number): Promise<number> {
  if (header + localSize > end) throw new FormatError(`${source.label}: entry "${name}" lies outside of the file`);
  const view = new DataView(await source.read(header, localSize));
  if (view.getUint32(0, true) !== signatures.local)
    throw new FormatError(`${source.label}: entry "${name}" has no header at byte ${header}; the file is corrupt`);
  return header + localSize + view.getUint16(26, true) + view.getUint16(28, true);
}

function uint64(label: string, view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw new FormatError(`${label}: the zip archive has the impossible size ${value}`);
  return value;
}
