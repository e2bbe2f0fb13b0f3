import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readTfjs } from "../../src/io/index.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-tfjs-"));
});
after(() => rm(folder, { recursive: true }));

const kernel = { name: "conv/kernel", shape: [2, 1, 1, 2], dtype: "float32" };
const steps = { name: "steps", shape: [], dtype: "int32" };
const flags = { name: "flags", shape: [3], dtype: "bool" };

/** Writes a model of one group whose bytes are cut into shards of `lengths`. */
async function write(weights: readonly object[], bytes: Uint8Array, lengths: readonly number[]): Promise<string> {
  const paths = lengths.map((_, i) => `shard${i + 1}of${lengths.length}.bin`);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    await writeFile(join(folder, paths[i]), bytes.subarray(at, at + length));
    at += length;
  }
  const file = join(folder, "model.json");
  await writeFile(file, JSON.stringify({ format: "layers-model", weightsManifest: [{ paths, weights }] }));
  return file;
}

const bytesOf = (...arrays: readonly (Float32Array | Int32Array | Uint16Array | Uint8Array)[]): Uint8Array =>
  Buffer.concat(arrays.map((a) => Buffer.from(a.buffer, a.byteOffset, a.byteLength)));

const plain = bytesOf(Float32Array.of(1, -2, 3.5, 1e-40), Int32Array.of(-7), Uint8Array.of(1, 0, 1));

test("weights that run over the ends of shards", async () => {
  await write([kernel, steps, flags], plain, [3, 0, 14, 6]);
  const tensors = await readTfjs(folder);
  assert.deepEqual(Object.fromEntries(tensors), {
    "conv/kernel": { dtype: "f32", shape: [2, 1, 1, 2], data: Float32Array.of(1, -2, 3.5, 1e-40) },
    steps: { dtype: "i32", shape: [], data: Int32Array.of(-7) },
    flags: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
  });
});

test("quantized weights are f32 or i32 again", async () => {
  const as = (name: string, dtype: string, quantization: object) => ({ name, shape: [2], dtype, quantization });
  const file = await write(
    [
      as("u8", "float32", { dtype: "uint8", scale: 0.5, min: -1 }),
      as("u16", "float32", { dtype: "uint16", scale: 0.25, min: 0 }),
      as("f16", "float32", { dtype: "float16", original_dtype: "float32" }),
      as("int", "int32", { dtype: "uint8", scale: 1.4, min: -3 }),
    ],
    bytesOf(Uint8Array.of(0, 255), Uint16Array.of(1, 65535), Uint16Array.of(0x3c00, 0xc000), Uint8Array.of(0, 2)),
    [12],
  );
  const tensors = await readTfjs(file);
  assert.deepEqual(tensors.get("u8")?.data, Float32Array.of(-1, 126.5));
  assert.deepEqual(tensors.get("u16")?.data, Float32Array.of(0.25, 16383.75));
  assert.deepEqual(tensors.get("f16")?.data, Float32Array.of(1, -2));
  assert.deepEqual(tensors.get("int")?.data, Int32Array.of(-3, 0));
});

test("a truncated shard, a missing one and one too many bytes", async () => {
  const file = await write([kernel, steps, flags], plain, [10, 12]);
  await assert.rejects(readTfjs(file), /weight "flags": takes 3 bytes, the shards have 2 left; a shard is truncated/);
  await write([kernel, steps, flags], bytesOf(plain, Uint8Array.of(1)), [24]);
  await assert.rejects(readTfjs(file), /the shards hold 1 bytes more than the weights/);
  await rm(join(folder, "shard1of1.bin"));
  await assert.rejects(readTfjs(file), /shard1of1\.bin: no such file/);
});

test("what is no model, or would lead elsewhere", async () => {
  const file = join(folder, "model.json");
  const refused = async (content: unknown, error: RegExp) => {
    await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
    await assert.rejects(readTfjs(file), error);
  };
  const group = (weights: readonly object[], paths: readonly string[] = []) => ({
    weightsManifest: [{ paths, weights }],
  });
  await refused("{", /not valid JSON/);
  await refused("null", /no valid weightsManifest/);
  await refused(group([{ name: "x", shape: [-1], dtype: "float32" }]), /no valid weightsManifest/);
  await refused(group([], ["../secret.bin"]), /the shard "\.\.\/secret\.bin" is a path/);
  await refused(group([{ ...steps, dtype: "string" }]), /dtype string; known are float32, int32, bool/);
  await refused(group([{ ...kernel, shape: [2 ** 40, 2 ** 40] }]), /impossible shape/);
  await refused(group([{ ...kernel, shape: [2 ** 40] }]), /takes 4398046511104 bytes, the shards have 0 left/);
  await refused(
    group([
      { ...kernel, shape: [0] },
      { ...kernel, shape: [0] },
    ]),
    /stands there twice/,
  );
  await refused(group([{ ...kernel, shape: [0], quantization: { dtype: "uint8" } }]), /without a scale and a min/);
  await assert.rejects(readTfjs(join(folder, "missing")), /missing.model\.json: no such file/);
});
