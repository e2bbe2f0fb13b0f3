/** Weights of TensorFlow.js: a model.json with a manifest, and shards of raw bytes beside it.
 *  https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (WeightsManifestConfig) */
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError, showShape } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { bitSizes, decode, type FileDType } from "./file-dtype.ts";
import type { Source } from "./source.ts";
import { fileSource } from "./source-file.ts";

/** Values stored as small integers q, or as halves: q scale + min. */
interface Quantization {
  readonly dtype: string;
  readonly scale?: number;
  readonly min?: number;
}

interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: Quantization;
}

interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightSpec[];
}

const fileDTypes: Readonly<Record<string, FileDType>> = { float32: "F32", int32: "I32", bool: "BOOL" };
const quantizedDTypes: Readonly<Record<string, FileDType>> = { uint8: "U8", uint16: "U16", float16: "F16" };

/**
 * The tensors of a model.json, given by its path or its folder, by name, in the layout of TensorFlow: a convolution's
 * kernel is [h, w, in, out], a dense one [in, out]. Quantized ones are f32 again. Throws `FormatError` when a shard is
 * missing, truncated or too long.
 */
export async function readTfjs(path: string): Promise<Map<string, HostArray>> {
  const file = path.endsWith(".json") ? path : join(path, "model.json");
  const tensors = new Map<string, HostArray>();
  for (const group of await readManifest(file)) {
    const shards = new Shards(await openShards(file, group.paths));
    try {
      for (const spec of group.weights) {
        if (tensors.has(spec.name)) throw new FormatError(`${file}: the weight "${spec.name}" stands there twice`);
        tensors.set(spec.name, await readWeight(`${file}: weight "${spec.name}"`, spec, shards));
      }
      if (shards.left > 0) throw new FormatError(`${file}: the shards hold ${shards.left} bytes more than the weights`);
    } finally {
      await shards.close();
    }
  }
  return tensors;
}

async function readManifest(file: string): Promise<WeightGroup[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new ManabiError(`${file}: no such file`, { cause: error }) : error;
  });
  let manifest: unknown;
  try {
    manifest = JSON.parse(text)?.weightsManifest;
  } catch (error) {
    throw new FormatError(`${file}: not valid JSON`, { cause: error });
  }
  if (!Array.isArray(manifest) || !manifest.every(isGroup))
    throw new FormatError(`${file}: there is no valid weightsManifest; it is no model of TensorFlow.js`);
  // A shard lies beside the model; a path could lead anywhere.
  for (const { paths } of manifest)
    for (const path of paths)
      if (path !== basename(path) || path === "..") throw new FormatError(`${file}: the shard "${path}" is a path`);
  return manifest;
}

const isGroup = (group: Partial<WeightGroup> | null): group is WeightGroup =>
  Array.isArray(group?.paths) &&
  group.paths.every((path) => typeof path === "string") &&
  Array.isArray(group.weights) &&
  group.weights.every(isSpec);

const isSpec = (spec: Partial<WeightSpec> | null): spec is WeightSpec =>
  typeof spec?.name === "string" &&
  typeof spec.dtype === "string" &&
  Array.isArray(spec.shape) &&
  spec.shape.every((d) => Number.isSafeInteger(d) && d >= 0);

async function openShards(file: string, paths: readonly string[]): Promise<Source[]> {
  const open: Source[] = [];
  try {
    for (const path of paths) open.push(await fileSource(join(dirname(file), path)));
    return open;
  } catch (error) {
    await Promise.all(open.map((shard) => shard.close()));
    throw error;
  }
}

/** Files read one after the other as if they were one. */
class Shards {
  readonly #files: readonly Source[];
  #file = 0;
  #at = 0;
  /** Bytes not read yet. */
  left: number;

  constructor(files: readonly Source[]) {
    this.#files = files;
    this.left = files.reduce((n, { size }) => n + size, 0);
  }

  async read(label: string, length: number): Promise<ArrayBuffer> {
    if (length > this.left)
      throw new FormatError(`${label}: takes ${length} bytes, the shards have ${this.left} left; a shard is truncated`);
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const shard = this.#files[this.#file];
      const part = await shard.read(this.#at, Math.min(length - done, shard.size - this.#at));
      out.set(new Uint8Array(part), done);
      done += part.byteLength;
      this.#at += part.byteLength;
      if (this.#at === shard.size) [this.#file, this.#at] = [this.#file + 1, 0];
    }
    this.left -= length;
    return out.buffer;
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }
}

async function readWeight(
  label: string,
  { shape, dtype, quantization }: WeightSpec,
  shards: Shards,
): Promise<HostArray> {
  const stored = quantization ? quantizedDTypes[quantization.dtype] : fileDTypes[dtype];
  if (!stored || (quantization && dtype === "bool"))
    throw new ManabiError(
      `${label} has dtype ${dtype}${quantization ? ` quantized as ${quantization.dtype}` : ""}; known are ` +
        `${Object.keys(fileDTypes).join(", ")}, quantized as ${Object.keys(quantizedDTypes).join(", ")}`,
    );
  const size = sizeOf(shape);
  if (!Number.isSafeInteger(size * 8)) throw new FormatError(`${label} has the impossible shape ${showShape(shape)}`);
  const bytes = await shards.read(label, size * (bitSizes[stored] / 8));
  const array = decode(label, { dtype: stored, shape }, bytes, true);
  return quantization && stored !== "F16" ? dequantized(label, dtype, array, quantization) : array;
}

function dequantized(label: string, dtype: string, { shape, data }: HostArray, quantization: Quantization): HostArray {
  const { scale, min } = quantization;
  if (typeof scale !== "number" || typeof min !== "number")
    throw new FormatError(`${label} is quantized without a scale and a min`);
  if (dtype === "int32")
    return { dtype: "i32", shape, data: Int32Array.from(data, (q) => Math.round(q * scale + min)) };
  return { dtype: "f32", shape, data: Float32Array.from(data, (q) => q * scale + min) };
}
