/** The safetensors format: an 8-byte length, a JSON header, then the tensors one after the other.
 *  https://github.com/huggingface/safetensors#format */
import type { DType, HostArray } from "../core/dtype.ts";
import { byteSize } from "../core/dtype.ts";
import { FormatError, ManabiError, showShape, unknownName } from "../core/errors.ts";
import { decode, type FileDType } from "./file-dtype.ts";
import { headerLengthLimit, parseHeader, type TensorInfo } from "./safetensors-header.ts";
import { bufferSource, type Source } from "./source.ts";
import { type ReadOptions, readAll, type TensorFile } from "./tensor-file.ts";

/** An open safetensors file: the header is read and checked, tensors are read when asked for. */
export interface SafetensorsFile extends TensorFile {
  /** The `__metadata__` strings. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Dtype as the file spells it, shape and byte span. Throws on an unknown name. */
  info(name: string): TensorInfo;
}

/** A safetensors file that is already in memory, its header read and checked; `label` stands for the path in errors. */
export const openSafetensorsBytes = (bytes: ArrayBuffer, label = "safetensors buffer"): Promise<SafetensorsFile> =>
  openHeader(bufferSource(bytes, label));

/** All tensors of a safetensors file that is already in memory; `label` stands for the path in errors. */
export const parseSafetensors = async (
  bytes: ArrayBuffer,
  options?: ReadOptions & { readonly label?: string },
): Promise<Map<string, HostArray>> => readAll(await openSafetensorsBytes(bytes, options?.label), options);

/** Reads and checks the header. */
export async function openHeader(source: Source): Promise<SafetensorsFile> {
  const { label: path, size } = source;
  if (size < 8) throw new FormatError(`${path}: ${size} bytes are too few for a safetensors file (at least 8)`);
  const claimed = new DataView(await source.read(0, 8)).getBigUint64(0, true);
  if (claimed > headerLengthLimit)
    throw new FormatError(`${path}: the header claims ${claimed} bytes; at most ${headerLengthLimit} are allowed`);
  const length = Number(claimed);
  if (length > size - 8)
    throw new FormatError(`${path}: the header claims ${length} bytes, but the file has only ${size - 8} more`);
  const { tensors, metadata } = parseHeader(path, await source.read(8, length), size - 8 - length);
  const info = (name: string): TensorInfo => {
    const found = tensors.get(name);
    if (!found) throw unknownName("tensor", name, tensors.keys());
    return found;
  };
  const read = async (name: string, options: ReadOptions = {}): Promise<HostArray> => {
    const tensor = info(name);
    const bytes = await source.read(8 + length + tensor.begin, tensor.end - tensor.begin);
    return decode(`${path}: tensor "${name}"`, tensor, bytes, options.widen ?? false);
  };
  return { names: [...tensors.keys()], metadata, info, read, close: () => source.close() };
}

const fileDTypes: Record<DType, FileDType> = {
  f32: "F32",
  f64: "F64",
  f16: "F16",
  bf16: "BF16",
  i32: "I32",
  u32: "U32",
  u8: "U8",
  bool: "BOOL",
};

export type NamedTensors = ReadonlyMap<string, HostArray> | Readonly<Record<string, HostArray>>;

/** Tensors in the order in which a file holds them: wider elements first, which keeps every tensor aligned, then by
 *  name; so the same tensors give the same bytes whatever order they come in. */
export function fileOrder(tensors: NamedTensors): [string, HostArray][] {
  const entries = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  return entries.sort(([a, x], [b, y]) => byteSize(y.dtype) - byteSize(x.dtype) || (a < b ? -1 : 1));
}

/** A file of tensors and `__metadata__` strings as bytes; equal input gives equal bytes. */
export function encodeSafetensors(
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const parts = [...encodeParts(tensors, metadata)];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The header, then the bytes of one tensor after the other. */
export function* encodeParts(tensors: NamedTensors, metadata: Readonly<Record<string, string>>): Generator<Uint8Array> {
  const entries = fileOrder(tensors);
  yield encodeHeader(entries, metadata);
  for (const [, { data }] of entries) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function encodeHeader(entries: [string, HostArray][], metadata: Readonly<Record<string, string>>): Uint8Array {
  const fields: [string, unknown][] = [];
  const strings = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (strings.length) fields.push(["__metadata__", Object.fromEntries(strings)]);
  let end = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    if (name === "__metadata__")
      throw new ManabiError(`a tensor cannot be named "__metadata__"; the format reserves it`);
    const count = shape.reduce((a, b) => a * b, 1);
    if (count !== data.length)
      throw new ManabiError(`tensor "${name}": shape ${showShape(shape)} holds ${count} values, data ${data.length}`);
    const begin = end;
    end += data.byteLength;
    fields.push([name, { dtype: fileDTypes[dtype], shape, data_offsets: [begin, end] }]);
  }
  // Not Object.fromEntries: it would move integer-like names such as "0" to the front.
  const json = `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > headerLengthLimit)
    throw new ManabiError(`the header would take ${length} bytes; at most ${headerLengthLimit} are allowed`);
  const bytes = new Uint8Array(8 + length).fill(32);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return bytes;
}
