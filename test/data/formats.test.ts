import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { HostArray } from "../../src/core/dtype.ts";
import { idxFolder, parseIdx, parseNpy, readCifar, readIdx } from "../../src/data/index.ts";
import { firstDrawings } from "../../src/data/quickdraw.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-formats-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** An IDX file with the given header; `body` defaults to the bytes 0, 1, 2 ... of the right size. */
function idx(type: number, shape: number[], body?: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = type;
  header[3] = shape.length;
  for (const [i, n] of shape.entries()) header.writeUInt32BE(n, 4 + 4 * i);
  const count = shape.reduce((a, b) => a * b, 1);
  return Buffer.concat([header, body ?? Uint8Array.from({ length: count }, (_, i) => i)]);
}

test("IDX: bytes, big-endian integers and floats, plain and gzipped", async () => {
  assert.deepEqual(parseIdx(idx(8, [2, 3]), "x"), {
    dtype: "u8",
    shape: [2, 3],
    data: Uint8Array.of(0, 1, 2, 3, 4, 5),
  });
  assert.deepEqual([...parseIdx(idx(9, [2], Uint8Array.of(255, 1)), "x").data], [-1, 1]);
  assert.deepEqual([...parseIdx(idx(11, [2], Uint8Array.of(255, 254, 1, 0)), "x").data], [-2, 256]);
  assert.deepEqual([...parseIdx(idx(12, [1], Uint8Array.of(0, 1, 0, 0)), "x").data], [65536]);
  const floats = Buffer.alloc(8);
  floats.writeFloatBE(1.5, 0);
  floats.writeFloatBE(-2, 4);
  assert.deepEqual([...parseIdx(idx(13, [2], floats), "x").data], [1.5, -2]);
  await writeFile(join(folder, "a.gz"), gzipSync(idx(8, [4])));
  assert.deepEqual([...(await readIdx(join(folder, "a.gz"))).data], [0, 1, 2, 3]);
});

test("IDX: truncated, lying and foreign files are refused with the reason", async () => {
  const good = idx(8, [3, 2, 2]);
  assert.throws(() => parseIdx(good.subarray(0, good.length - 1), "t"), /t: the header says \[3,2,2\].*truncated/);
  assert.throws(() => parseIdx(Buffer.concat([good, Buffer.alloc(1)]), "t"), /the file holds 13/);
  assert.throws(() => parseIdx(good.subarray(0, 7), "t"), /header of rank 3 does not fit/);
  assert.throws(() => parseIdx(idx(8, [0xffffffff, 0xffffffff, 0xffffffff], Buffer.alloc(9)), "t"), /truncated/);
  assert.throws(() => parseIdx(idx(7, [1]), "t"), /unknown IDX element type 0x7/);
  assert.throws(() => parseIdx(Buffer.from("PK\u0003\u0004"), "t"), /not an IDX file/);
  assert.throws(() => parseIdx(Buffer.alloc(0), "t"), /not an IDX file/);
  assert.throws(() => parseIdx(Buffer.from([0, 0, 8, 0, 1]), "t"), /rank 0/);
  const path = join(folder, "cut.gz");
  await writeFile(path, gzipSync(good).subarray(0, 20));
  await assert.rejects(readIdx(path), /cut\.gz: gzip data is truncated/);
});

test("a folder of four IDX files is read as train and test", async () => {
  await writeFile(join(folder, "train-images-idx3-ubyte.gz"), gzipSync(idx(8, [3, 2, 4])));
  await writeFile(join(folder, "train-labels-idx1-ubyte"), idx(8, [3], Uint8Array.of(1, 0, 1)));
  await writeFile(join(folder, "t10k-images-idx3-ubyte"), idx(8, [1, 2, 4]));
  await writeFile(join(folder, "t10k-labels-idx1-ubyte"), idx(8, [1], Uint8Array.of(0)));
  const { train, test: held } = await idxFolder(folder, ["no", "yes"]);
  const [image, label] = await train.get(2);
  assert.deepEqual(image, { dtype: "u8", shape: [2, 4, 1], data: Uint8Array.from({ length: 8 }, (_, i) => 16 + i) });
  assert.equal(label, 1);
  assert.equal(held.length, 1);
  await assert.rejects(idxFolder(folder, ["only"]), /label 1 of image 0 is not one of 1 classes/);
  await writeFile(join(folder, "train-labels-idx1-ubyte"), idx(8, [2]));
  await assert.rejects(idxFolder(folder, ["no", "yes"]), /2 labels of 2x4x1 images need 16 pixels, got 24/);
});

test("CIFAR-10 records become interleaved pixels; a cut file is refused", async () => {
  const record = (label: number) => [label, ...Array.from({ length: 3072 }, (_, i) => (i >> 10) * 50 + (i & 31))];
  const path = join(folder, "batch.bin");
  await writeFile(path, Uint8Array.from([...record(9), ...record(3)]));
  const set = await readCifar([path, path]);
  assert.deepEqual([...set.labels], [9, 3, 9, 3]);
  const [{ data, shape }] = set.get(1) as [HostArray, number];
  assert.deepEqual(shape, [32, 32, 3]);
  assert.deepEqual([...data.slice(3 * 33, 3 * 33 + 3)], [1, 51, 101]);
  await writeFile(path, new Uint8Array(3072));
  await assert.rejects(readCifar([path]), /3072 bytes is not a whole number of 3073-byte records/);
  await writeFile(path, Uint8Array.from(record(10)));
  await assert.rejects(readCifar([path]), /label 10 of image 0 is not one of 10 classes/);
});

/** A .npy file of format 1.0. */
function npy(header: string, body: Uint8Array): Buffer {
  const text = `${header}${" ".repeat(63 - ((10 + header.length) % 64))}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, Buffer.from(text, "latin1"), body]);
}

test("npy: values, odd headers and lies", () => {
  const header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }";
  const body = new Uint8Array(Int32Array.of(-7, 8).buffer);
  assert.deepEqual(parseNpy(npy(header, body), "x"), { dtype: "i32", shape: [2, 1], data: Int32Array.of(-7, 8) });
  assert.throws(
    () => parseNpy(npy(header, body.subarray(1)), "x"),
    /the header says \[2,1\], 8 bytes; the file holds 7/,
  );
  assert.throws(() => parseNpy(npy(header.replace("False", "True"), body), "x"), /needs a \.npy file in C order/);
  assert.throws(() => parseNpy(npy(header.replace("<i4", "|O"), body), "x"), /needs a \.npy file/);
  assert.throws(() => parseNpy(npy(header, body).subarray(0, 20), "x"), /the file ends before/);
  assert.throws(() => parseNpy(Buffer.from("not a numpy file"), "x"), /not a \.npy file/);
});

test("QuickDraw bitmaps: the first drawings of a file that is only there in part", () => {
  const header = "{'descr': '|u1', 'fortran_order': False, 'shape': (50, 784), }";
  const part = npy(header, new Uint8Array(3 * 784).fill(5));
  assert.equal(firstDrawings(part, "cat.npy", 3).length, 3 * 784);
  assert.throws(() => firstDrawings(part, "cat.npy", 4), /cat\.npy: truncated; 4 drawings end at/);
  assert.throws(() => firstDrawings(part, "cat.npy", 51), /has 50 drawings, fewer than perClass = 51/);
  assert.throws(
    () => firstDrawings(npy(header.replace("784", "783"), new Uint8Array(9)), "c", 1),
    /expected u8 \[n, 784\]/,
  );
});
