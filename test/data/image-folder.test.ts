import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import type { HostArray } from "../../src/core/dtype.ts";
import {
  centerCrop,
  DataLoader,
  decodeImage,
  horizontalFlip,
  imageFolder,
  normalize,
  randomCrop,
  randomResizedCrop,
  resize,
  type Skipped,
  subset,
  type Transform,
  toFloat,
} from "../../src/data/index.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-folder-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A 6 x 4 picture (width x height), left half red, right half blue. */
const halves = (): Sharp => {
  const data = Buffer.alloc(6 * 4 * 3);
  for (let i = 0; i < 24; i++) data[3 * i + (i % 6 < 3 ? 0 : 2)] = 255;
  return sharp(data, { raw: { width: 6, height: 4, channels: 3 } });
};

async function put(path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), bytes);
}

const pixel = ({ shape, data }: HostArray, y: number, x: number): number[] =>
  [0, 1, 2].map((c) => data[(y * shape[1] + x) * 3 + c]);

const near = (got: number[], want: number[], tolerance: number): void =>
  assert.ok(
    got.every((v, i) => Math.abs(v - want[i]) <= tolerance),
    `${got} is not ${want}`,
  );

test("every format decodes to upright 8-bit RGB", async () => {
  const formats: [string, Sharp][] = [
    ["png", halves().png()],
    ["palette png", halves().png({ palette: true })],
    ["16-bit png", halves().toColourspace("rgb16").png()],
    ["png with alpha", halves().ensureAlpha(0.3).png()],
    ["jpeg", halves().jpeg({ quality: 100, chromaSubsampling: "4:4:4" })],
    ["webp", halves().webp({ lossless: true })],
    ["gif", halves().gif()],
  ];
  for (const [name, made] of formats) {
    const image = await decodeImage(await made.toBuffer());
    assert.deepEqual(image.shape, [4, 6, 3], name);
    near(pixel(image, 1, 0), [255, 0, 0], 3);
    near(pixel(image, 1, 5), [0, 0, 255], 3);
  }
  const grey = await decodeImage(await halves().greyscale().png().toBuffer());
  assert.deepEqual(grey.shape, [4, 6, 3]);
  assert.equal(new Set(pixel(grey, 0, 0)).size, 1);
  const cmyk = await decodeImage(await halves().toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer());
  assert.deepEqual(cmyk.shape, [4, 6, 3]);
  const [r, g, b] = pixel(cmyk, 1, 0);
  assert.ok(r > 180 && g < 80 && b < 80, `CMYK red came out as ${[r, g, b]}`);
});

test("EXIF orientation is honoured", async () => {
  const quarter = await decodeImage(await halves().withMetadata({ orientation: 6 }).png().toBuffer());
  assert.deepEqual(quarter.shape, [6, 4, 3]);
  assert.deepEqual(
    [pixel(quarter, 0, 0), pixel(quarter, 5, 0)],
    [
      [255, 0, 0],
      [0, 0, 255],
    ],
  );
  const mirrored = await decodeImage(await halves().withMetadata({ orientation: 2 }).png().toBuffer());
  assert.deepEqual(pixel(mirrored, 0, 0), [0, 0, 255]);
});

/** The bytes of a PNG of one scanline `row` (filter byte first) that claims to be as large as told. */
function png(width: number, height: number, depth: 8 | 16, colour: 0 | 2, row: readonly number[]): Buffer {
  const chunk = (type: string, data: Uint8Array) => {
    const named = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(named.length + 8);
    out.writeUInt32BE(data.length);
    out.set(named, 4);
    out.writeUInt32BE(crc32(named), named.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour], 8);
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.from(row))), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.of(137, 80, 78, 71, 13, 10, 26, 10), ...parts]);
}

test("16 bits a channel become the upper 8, of grey and of colour", async () => {
  const grey = await decodeImage(png(3, 1, 16, 0, [0, 0x80, 0x00, 0xff, 0xff, 0x12, 0x34]));
  assert.deepEqual([...grey.data], [128, 128, 128, 255, 255, 255, 18, 18, 18]);
  const colour = await decodeImage(png(1, 1, 16, 2, [0, 0x80, 0x00, 0xff, 0xff, 0x12, 0x34]));
  assert.deepEqual([...colour.data], [128, 255, 18]);
});

test("a rotated JPEG is upright before it is resized", async () => {
  const jpeg = await halves().withMetadata({ orientation: 6 }).jpeg({ quality: 100, chromaSubsampling: "4:4:4" });
  await put("a/1.jpg", await jpeg.toBuffer());
  const { train } = await imageFolder(root, { testFraction: 0 });
  const loader = new DataLoader(train, { batchSize: 1, workers: 0, transforms: [resize([6, 4]), toFloat()] });
  const [{ data }] = (await loader.batches(0).next()).value as HostArray[];
  const red = (y: number) => data[4 * y + 1];
  assert.ok(red(0) > 0.9 && red(5) < 0.1, `${red(0)} above, ${red(5)} below`);
});

test("one pixel becomes an image of its colour, whatever is done to it", async () => {
  await put("a/1.png", png(1, 1, 8, 2, [0, 10, 20, 30]));
  const { train } = await imageFolder(root, { testFraction: 0 });
  const ways: Transform[][] = [
    [resize(20), centerCrop(16)],
    [randomResizedCrop(16), horizontalFlip()],
    [resize([16, 16]), randomCrop(16)],
  ];
  for (const way of ways) {
    const loader = new DataLoader(train, { batchSize: 1, workers: 0, transforms: [...way, toFloat()] });
    const [{ shape, data }] = (await loader.batches(0).next()).value as HostArray[];
    assert.deepEqual(shape, [1, 3, 16, 16]);
    assert.ok(data.every((v, i) => Math.abs(255 * v - 10 * (1 + Math.floor(i / 256))) < 1e-3));
  }
});

test("a picture of 20,000 x 20,000 pixels, and one too narrow to be resized, are refused by name", async () => {
  const size = 20_000;
  await put("a/bomb.png", png(size, size, 8, 2, [0]));
  const strict = (await imageFolder(root, { testFraction: 0 })).train;
  await assert.rejects(
    async () => strict.get(0),
    /a\/bomb\.png: cannot be decoded \(it is 20000 x 20000 pixels, and the limit is 268435456 in all; make it smaller\); remove it/,
  );
  const skipped: Skipped[] = [];
  const { train } = await imageFolder(root, { testFraction: 0, onError: "skip" });
  const lenient = new DataLoader(train, { batchSize: 1, workers: 0, onSkip: (one) => skipped.push(one) });
  assert.equal((await lenient.batches(0).next()).done, true);
  assert.match(skipped[0].reason, /bomb\.png.*20000 x 20000/);

  const line = { create: { width: size, height: 1, channels: 3, background: "red" } } as const;
  await put("b/line.png", await sharp(line).png().toBuffer());
  const narrow = new DataLoader(subset((await imageFolder(root, { testFraction: 0 })).train, [1]), {
    ...{ batchSize: 1, workers: 0, transforms: [resize(256), centerCrop(224)] },
  });
  await assert.rejects(
    async () => narrow.batches(0).next(),
    /b\/line\.png: resize: a picture of 20000 x 1 pixels would become 5120000 x 256; it is too narrow/,
  );
});

test("class folders: sorted names, nested files, foreign files ignored, a seeded split of every class", async () => {
  const png = await halves().png().toBuffer();
  for (let i = 0; i < 5; i++) {
    await put(`zebra/${i}.png`, png);
    await put(`ant/more/${i}.PNG`, png);
  }
  await put("ant/notes.txt", "not an image");
  await put("ant/.hidden.png", "x");
  await put("README.md", "loose files do not matter");
  await symlink(join(root, "ant"), join(root, "ant", "circle"));
  const { train, test: held, classes } = await imageFolder(root, { seed: 3 });
  assert.deepEqual(classes, ["ant", "zebra"]);
  assert.deepEqual([train.length, held.length], [8, 2]);
  assert.deepEqual([...(held.labels ?? [])], [0, 1]);
  const [image, label] = await held.get(1);
  assert.deepEqual([(image as HostArray).shape, label], [[4, 6, 3], 1]);
  const names = (set: typeof train) => Array.from({ length: set.length }, (_, i) => set.describe(i));
  assert.deepEqual(names((await imageFolder(root, { seed: 3 })).test), names(held));
  assert.equal(new Set([...names(train), ...names(held)]).size, 10);
});

test("train and val folders are parts, and classes are those of train", async () => {
  const png = await halves().png().toBuffer();
  for (const path of ["train/a/1.png", "train/b/1.png", "train/b/2.png", "val/b/1.png"]) await put(path, png);
  const { train, test: held, classes } = await imageFolder(root);
  assert.deepEqual([train.length, held.length, classes], [3, 1, ["a", "b"]]);
  assert.deepEqual([...(held.labels ?? [])], [1]);
  await put("val/c/1.png", png);
  await assert.rejects(imageFolder(root), /val\/c: the training part has no class "c"/);
});

test("train without val is split", async () => {
  const png = await halves().png().toBuffer();
  for (let i = 0; i < 10; i++) await put(`train/only/${i}.png`, png);
  const { train, test: held, classes } = await imageFolder(root);
  assert.deepEqual([train.length, held.length, classes], [8, 2, ["only"]]);
});

test("no folder, no classes, loose images and an empty class are named", async () => {
  await assert.rejects(imageFolder(join(root, "absent")), /absent: there is no such folder/);
  await assert.rejects(imageFolder(root), /no class folders; it is empty\. Sort the images as .*<class>/);
  await put("1.jpg", "x");
  await assert.rejects(imageFolder(root), /no class folders; 1 images lie directly in it \(1\.jpg/);
  await put("full/1.jpg", "x");
  await mkdir(join(root, "bare"));
  await assert.rejects(imageFolder(root), /bare: the class folder holds no images \(\.jpg/);
});

test("a corrupt image stops by path, or is skipped and reported once, on every number of workers", async () => {
  const jpeg = await sharp({
    create: {
      width: 64,
      height: 64,
      channels: 3,
      background: "#456",
      noise: { type: "gaussian", mean: 128, sigma: 50 },
    },
  })
    .jpeg()
    .toBuffer();
  for (let i = 0; i < 6; i++) await put(`a/${i}.jpg`, jpeg);
  await put("a/2.jpg", jpeg.subarray(0, jpeg.length / 2));
  await put("a/4.jpg", "this is no image");
  const options = { batchSize: 2, transforms: [resize([8, 8]), normalize([0, 0, 0], [1, 1, 1])] };
  for (const workers of [0, 2]) {
    const strict = new DataLoader((await imageFolder(root, { testFraction: 0 })).train, { ...options, workers });
    await assert.rejects(async () => {
      for await (const _ of strict.batches(0));
    }, /a\/2\.jpg: cannot be decoded \(.*\); remove it, or use onError: "skip"/);
    await strict.close();

    const { train } = await imageFolder(root, { testFraction: 0, onError: "skip" });
    const skipped: Skipped[] = [];
    const lenient = new DataLoader(train, { ...options, workers, onSkip: (one) => skipped.push(one) });
    for (const epoch of [0, 1]) {
      const sizes: number[] = [];
      for await (const [images, labels] of lenient.batches(epoch)) {
        assert.deepEqual(images.shape.slice(1), [3, 8, 8]);
        sizes.push(labels.shape[0]);
      }
      assert.deepEqual(sizes, [2, 1, 1]);
    }
    assert.deepEqual(
      skipped.map(({ sample }) => sample.slice(root.length)),
      ["/a/2.jpg", "/a/4.jpg"],
    );
    await lenient.close();
  }
});

test("folders use worker threads by default, and the workers see what the main thread sees", async () => {
  const png = await halves().png().toBuffer();
  for (let i = 0; i < 4; i++) await put(`a/${i}.png`, png);
  const { train } = await imageFolder(root, { testFraction: 0 });
  const loader = new DataLoader(train, { batchSize: 4 });
  assert.ok(loader.workers >= 1);
  const main = new DataLoader(train, { batchSize: 4, workers: 0 });
  assert.deepEqual((await loader.batches(0).next()).value, (await main.batches(0).next()).value);
  await loader.close();
});
