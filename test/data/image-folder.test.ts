import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import sharp, { type Sharp } from "sharp";
import type { HostArray } from "../../src/core/dtype.ts";
import { DataLoader, decodeImage, imageFolder, normalize, resize, type Skipped } from "../../src/data/index.ts";

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
