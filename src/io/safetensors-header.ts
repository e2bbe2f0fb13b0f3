import { FormatError, showShape } from "../core/errors.ts";
import { bitSizes, type FileDType } from "./file-dtype.ts";

/** A longer header is refused before it is read, so that a few hostile bytes cannot claim the memory. */
export const headerLengthLimit = 100_000_000;

/** One tensor of a file; `begin` and `end` are bytes from the end of the header. */
export interface TensorInfo {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Parses and checks a header against the `dataLength` bytes that follow it. Throws `FormatError` naming `path`. */
export function parseHeader(path: string, bytes: ArrayBuffer, dataLength: number): Header {
  const fields = parseObject(path, bytes);
  const metadata = parseMetadata(path, fields.get("__metadata__"));
  fields.delete("__metadata__");
  const tensors = [...fields].map(([name, value]) => [name, parseTensor(path, name, value)] as const);
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  let previous = "the header";
  for (const [name, tensor] of tensors) {
    if (tensor.begin !== end) {
      const what = tensor.begin < end ? "overlaps" : "leaves a hole after";
      throw new FormatError(
        `${path}: tensor "${name}" at bytes ${tensor.begin}..${tensor.end} ${what} ${previous}, which ends at ${end}`,
      );
    }
    end = tensor.end;
    previous = `tensor "${name}"`;
  }
  if (end !== dataLength) {
    const cause = end > dataLength ? "the file is truncated" : "there are extra bytes at the end";
    throw new FormatError(`${path}: the tensors take ${end} bytes, the file holds ${dataLength}; ${cause}`);
  }
  return { tensors: new Map(tensors), metadata };
}

function parseObject(path: string, bytes: ArrayBuffer): Map<string, unknown> {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path}: the header is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!isRecord(json) || !text.startsWith("{")) throw new FormatError(`${path}: the header is not a JSON object`);
  const twice = duplicateKey(text);
  if (twice !== null) throw new FormatError(`${path}: the header has the name "${twice}" twice`);
  return new Map(Object.entries(json));
}

function parseMetadata(path: string, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw new FormatError(`${path}: __metadata__ is not an object`);
  const strings: [string, string][] = [];
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw new FormatError(`${path}: __metadata__ "${key}" is not a string`);
    strings.push([key, text]);
  }
  return Object.fromEntries(strings);
}

function parseTensor(path: string, name: string, value: unknown): TensorInfo {
  const fail = (why: string) => new FormatError(`${path}: tensor "${name}" ${why}`);
  if (!isRecord(value)) throw fail("is not described by an object");
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const extra = Object.keys(rest);
  if (extra.length) throw fail(`has unknown fields: ${extra.join(", ")}`);
  if (!isFileDType(dtype)) throw fail(`has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!isCounts(shape)) throw fail(`has no valid shape: ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw fail(`has no valid data_offsets: ${JSON.stringify(offsets)} (two non-negative integers)`);
  const [begin, end] = offsets;
  if (begin > end) throw fail(`ends at byte ${end} before it begins at ${begin}`);
  let bits = bitSizes[dtype];
  for (const extent of shape) {
    bits *= extent;
    if (!Number.isSafeInteger(bits)) throw fail(`has the impossible shape ${showShape(shape)}`);
  }
  if (bits !== (end - begin) * 8)
    throw fail(`of ${dtype} ${showShape(shape)} takes ${bits / 8} bytes, its offsets span ${end - begin}`);
  return { dtype, shape, begin, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

const isFileDType = (value: unknown): value is FileDType => typeof value === "string" && Object.hasOwn(bitSizes, value);

/** A key that stands twice in one object of a valid JSON text, or null: JSON.parse would silently keep the last. */
function duplicateKey(text: string): string | null {
  const objects: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "{") objects.push(new Set());
    else if (text[at] === "}") objects.pop();
    else if (text[at] === '"') {
      const start = at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      let next = at + 1;
      while (text.charCodeAt(next) <= 32) next++;
      if (text[next] !== ":") continue;
      const key: string = JSON.parse(text.slice(start, at + 1));
      const keys = objects[objects.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}
