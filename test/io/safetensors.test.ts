import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { HostArray } from "../../src/core/dtype.ts";
import { FormatError, ManabiError } from "../../src/core/errors.ts";
import { encodeSafetensors, parseSafetensors } from "../../src/io/safetensors.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "../../src/io/safetensors-file.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-safetensors-"));
});
after(() => rm(folder, { recursive: true }));

const tensors: Record<string, HostArray> = {
  "layer1.0.weight": { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, Number.NaN, 1e-45) },
  mask: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
  steps: { dtype: "i32", shape: [], data: Int32Array.of(-7) },
  seeds: { dtype: "u32", shape: [2], data: Uint32Array.of(1, 0xffffffff) },
  exact: { dtype: "f64", shape: [1], data: Float64Array.of(Math.PI) },
  half: { dtype: "f16", shape: [2], data: Uint16Array.of(0x3c00, 0xfbff) },
  brain: { dtype: "bf16", shape: [2], data: Uint16Array.of(0x3f80, 0xc040) },
  pixels: { dtype: "u8", shape: [0, 4], data: new Uint8Array(0) },
  '日本/"quoted"': { dtype: "u8", shape: [1], data: Uint8Array.of(9) },
};

test("what is written is read back, lazily and whole", async () => {
  const path = join(folder, "round.safetensors");
  await writeSafetensors(path, tensors, { license: "Apache-2.0", note: "改行\n" });
  const all = await readSafetensors(path);
  assert.deepEqual(Object.fromEntries(all), tensors);
  const file = await openSafetensors(path);
  assert.deepEqual(file.metadata, { license: "Apache-2.0", note: "改行\n" });
  assert.deepEqual(file.info("layer1.0.weight").shape, [2, 3]);
  assert.deepEqual(await file.read("half"), tensors.half);
  assert.deepEqual((await file.read("half", { widen: true })).data, Float32Array.of(1, -65504));
  assert.deepEqual((await file.read("brain", { widen: true })).data, Float32Array.of(1, -3));
  assert.deepEqual(await file.read("steps"), tensors.steps);
  await assert.rejects(file.read("layer1.0.wieght"), /unknown tensor "layer1.0.wieght"; did you mean layer1.0.weight/);
  await file.close();
});

test("equal tensors give equal bytes in any order, and every tensor is aligned", async () => {
  const [a, b] = [join(folder, "a.safetensors"), join(folder, "b.safetensors")];
  await writeSafetensors(a, tensors, { x: "1", y: "2" });
  await writeSafetensors(b, new Map(Object.entries(tensors).reverse()), { y: "2", x: "1" });
  const bytes = await readFile(a);
  assert.deepEqual(bytes, await readFile(b));
  assert.equal(bytes.readBigUInt64LE() % 8n, 0n);
  const file = await openSafetensors(a);
  for (const name of file.names) {
    const { begin, end, shape } = file.info(name);
    const count = shape.reduce((x, y) => x * y, 1);
    if (count) assert.equal(begin % ((end - begin) / count), 0, name);
  }
  await file.close();
});

test("views into a larger buffer are written by their own bytes", async () => {
  const path = join(folder, "view.safetensors");
  await writeSafetensors(path, { x: { dtype: "f32", shape: [2], data: Float32Array.of(0, 1, 2, 3).subarray(1, 3) } });
  assert.deepEqual((await readSafetensors(path)).get("x")?.data, Float32Array.of(1, 2));
});

test("bytes in memory are those of a file, and are read back", async () => {
  const path = join(folder, "memory.safetensors");
  const tensors = {
    flags: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
    名前: { dtype: "f32", shape: [1, 2], data: Float32Array.of(1.5, -2) },
  } satisfies Record<string, HostArray>;
  await writeSafetensors(path, tensors, { made: "日本" });
  const bytes = encodeSafetensors(tensors, { made: "日本" });
  assert.deepEqual(bytes, new Uint8Array(await readFile(path)));
  assert.deepEqual(await parseSafetensors(bytes.buffer), new Map(Object.entries(tensors).reverse()));
});

test("a tensor whose data does not fill its shape is not written", async () => {
  const path = join(folder, "bad-shape.safetensors");
  const bad: HostArray = { dtype: "f32", shape: [2, 2], data: new Float32Array(3) };
  await assert.rejects(writeSafetensors(path, { bad }), /tensor "bad": shape \[2,2\] holds 4 values, data 3/);
  await assert.rejects(stat(path));
});

/** A file with this header text (or object) and `dataLength` zero bytes. */
function encode(header: unknown, dataLength: number, headerLength?: bigint): ArrayBuffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes.buffer;
}

const f32 = (shape: unknown, data_offsets: unknown) => ({ dtype: "F32", shape, data_offsets });

const hostile: [name: string, file: ArrayBuffer, message: RegExp][] = [
  ["an empty file", new ArrayBuffer(0), /0 bytes are too few/],
  ["a header length past the end", encode("{}", 0, 1000n), /claims 1000 bytes, but the file has only 2 more/],
  ["a header length past the bound", encode("{}", 0, 2n ** 63n), /claims 9223372036854775808 bytes; at most 100000000/],
  ["no JSON", encode("{x", 0), /not valid JSON/],
  ["invalid UTF-8", withByte(encode("{}", 0), 0xff), /not valid JSON/],
  ["an array", encode("[]", 0), /not a JSON object/],
  ["a number", encode("7", 0), /not a JSON object/],
  ["null", encode("null", 0), /not a JSON object/],
  ["leading space", encode(" {}", 0), /not a JSON object/],
  ["a tensor that is no object", encode({ x: 7 }, 0), /tensor "x" is not described by an object/],
  ["an unknown dtype", encode({ x: { ...f32([1], [0, 4]), dtype: "F31" } }, 4), /unknown dtype "F31"/],
  ["an inherited name as dtype", encode({ x: { ...f32([1], [0, 4]), dtype: "toString" } }, 4), /unknown dtype/],
  ["an unknown field", encode({ x: { ...f32([1], [0, 4]), stride: 1 } }, 4), /unknown fields: stride/],
  ["a negative shape", encode({ x: f32([-1], [0, 4]) }, 4), /no valid shape: \[-1\]/],
  ["a fractional shape", encode({ x: f32([0.5], [0, 2]) }, 2), /no valid shape/],
  ["a shape that is no list", encode({ x: f32("1", [0, 4]) }, 4), /no valid shape: "1"/],
  ["a shape that overflows", encode({ x: f32([2 ** 40, 2 ** 40], [0, 4]) }, 4), /impossible shape/],
  ["an overflow hidden by a zero", encode({ x: f32([2 ** 52, 2 ** 52, 0], [0, 0]) }, 0), /impossible shape/],
  ["negative offsets", encode({ x: f32([1], [-4, 0]) }, 4), /no valid data_offsets: \[-4,0\]/],
  ["three offsets", encode({ x: f32([1], [0, 4, 8]) }, 8), /no valid data_offsets/],
  ["missing offsets", encode({ x: { dtype: "F32", shape: [1] } }, 4), /no valid data_offsets: undefined/],
  ["reversed offsets", encode({ x: f32([1], [4, 0]) }, 4), /ends at byte 0 before it begins at 4/],
  ["a span that is not the shape's", encode({ x: f32([2], [0, 4]) }, 4), /takes 8 bytes, its offsets span 4/],
  ["offsets past the end", encode({ x: f32([2], [0, 8]) }, 4), /take 8 bytes, the file holds 4; the file is truncated/],
  ["trailing bytes", encode({ x: f32([1], [0, 4]) }, 5), /extra bytes at the end/],
  ["overlap", encode({ x: f32([2], [0, 8]), y: f32([2], [4, 12]) }, 12), /"y" at bytes 4..12 overlaps tensor "x"/],
  ["a hole", encode({ x: f32([1], [0, 4]), y: f32([1], [8, 12]) }, 12), /"y" at bytes 8..12 leaves a hole after/],
  ["a hole at the start", encode({ x: f32([1], [4, 8]) }, 8), /leaves a hole after the header/],
  ["metadata that is no object", encode({ __metadata__: [] }, 0), /__metadata__ is not an object/],
  ["metadata that is no string", encode({ __metadata__: { a: 1 } }, 0), /__metadata__ "a" is not a string/],
  [
    "a name twice",
    encode(
      '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0078" :{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}',
      1,
    ),
    /the name "x" twice/,
  ],
  ["a field twice", encode('{"x":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', 1), /"dtype" twice/],
  [
    "a BOOL that is neither 0 nor 1",
    withByte(encode({ x: { dtype: "BOOL", shape: [1], data_offsets: [0, 1] } }, 1), 2),
    /element 0 is 2; a BOOL is 0 or 1/,
  ],
];

function withByte(file: ArrayBuffer, last: number): ArrayBuffer {
  new Uint8Array(file)[file.byteLength - 1] = last;
  return file;
}

for (const [name, file, message] of hostile)
  test(`refused: ${name}`, async () => {
    const path = join(folder, "hostile.safetensors");
    await writeFile(path, new Uint8Array(file));
    const refusal = (error: unknown) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.match(error.message, message);
      assert.ok(error.message.includes("hostile"));
      return true;
    };
    await assert.rejects(readSafetensors(path), refusal);
    await assert.rejects(parseSafetensors(file, { label: "hostile buffer" }), refusal);
  });

test("keys with braces, quotes and colons in strings are no duplicates", async () => {
  const header = {
    __metadata__: { a: '{"a":1,"a":2}', b: '\\"', c: "a" },
    a: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
  };
  assert.equal((await parseSafetensors(encode(header, 1))).size, 1);
});

test("a very long string in the header does not overflow a stack", async () => {
  const header = { __metadata__: { a: 'x"\\'.repeat(2_000_000) } };
  assert.equal((await parseSafetensors(encode(header, 0))).size, 0);
});

test("a file that shrinks after it was opened is reported", async () => {
  const path = join(folder, "shrinks.safetensors");
  await writeSafetensors(path, { x: { dtype: "f32", shape: [1000], data: new Float32Array(1000) } });
  const file = await openSafetensors(path);
  await truncate(path, 2000);
  await assert.rejects(file.read("x"), /the file ended at byte 2000 while being read/);
  await file.close();
});

test("a missing file is named", async () => {
  await assert.rejects(openSafetensors(join(folder, "none.safetensors")), /none.safetensors: no such file/);
});

const encodeTensor = (dtype: string, shape: number[], data: ArrayBufferView): ArrayBuffer => {
  const file = encode({ x: { dtype, shape, data_offsets: [0, data.byteLength] } }, data.byteLength);
  new Uint8Array(file).set(
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    file.byteLength - data.byteLength,
  );
  return file;
};

test("other integers become i32", async () => {
  const values = [-3, 0, 2147483647, -2147483648];
  const read = async (dtype: string, data: ArrayBufferView, shape = [4]) =>
    (await parseSafetensors(encodeTensor(dtype, shape, data))).get("x");
  assert.deepEqual((await read("I64", BigInt64Array.from(values, BigInt)))?.data, Int32Array.from(values));
  assert.deepEqual((await read("U64", BigUint64Array.of(1n, 2147483647n), [2]))?.data, Int32Array.of(1, 2147483647));
  assert.deepEqual((await read("I16", Int16Array.of(-1, 2, 3, 4)))?.data, Int32Array.of(-1, 2, 3, 4));
  assert.deepEqual((await read("U16", Uint16Array.of(65535, 2, 3, 4)))?.data, Int32Array.of(65535, 2, 3, 4));
  assert.deepEqual((await read("I8", Int8Array.of(-1, 2, 3, 4)))?.data, Int32Array.of(-1, 2, 3, 4));
});

test("64-bit integers that do not fit i32 are errors", async () => {
  for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 32n, 2n ** 62n])
    await assert.rejects(parseSafetensors(encodeTensor("I64", [1], BigInt64Array.of(value))), (error: Error) => {
      assert.ok(error instanceof ManabiError);
      return error.message.includes(`element 0 is ${value}, which does not fit i32`);
    });
  for (const value of [2n ** 31n, 2n ** 64n - 1n])
    await assert.rejects(parseSafetensors(encodeTensor("U64", [1], BigUint64Array.of(value))), /does not fit i32/);
});

test("an 8-bit float is refused by name, the tensors beside it are not", async () => {
  const header = {
    x: { dtype: "F8_E4M3", shape: [2], data_offsets: [0, 2] },
    y: { dtype: "U8", shape: [1], data_offsets: [2, 3] },
  };
  const path = join(folder, "f8.safetensors");
  await writeFile(path, new Uint8Array(encode(header, 3)));
  const file = await openSafetensors(path);
  assert.deepEqual((await file.read("y")).data, Uint8Array.of(0));
  await assert.rejects(file.read("x"), /tensor "x" has dtype F8_E4M3, which manabi cannot read; convert it to F32/);
  await file.close();
});

test("half floats are decoded exactly", async () => {
  const f16: [number, number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x83ff, -1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, Number.NaN],
  ];
  const file = encodeTensor(
    "F16",
    [f16.length],
    Uint16Array.from(f16, ([bits]) => bits),
  );
  assert.deepEqual(
    (await parseSafetensors(file, { widen: true })).get("x")?.data,
    Float32Array.from(f16, ([, value]) => value),
  );
});
