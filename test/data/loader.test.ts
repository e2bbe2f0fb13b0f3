import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { HostArray } from "../../src/core/dtype.ts";
import { Rng, seedKey } from "../../src/core/rng.ts";
import {
  centerCrop,
  colorJitter,
  concat,
  cutmix,
  DataLoader,
  type Dataset,
  horizontalFlip,
  ImageMemory,
  type LoaderOptions,
  map,
  mixup,
  moduleDataset,
  normalize,
  oneOf,
  randAugment,
  randomCrop,
  randomErasing,
  randomResizedCrop,
  sharedBytes,
  split,
  subset,
  toFloat,
} from "../../src/data/index.ts";

const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
const odd = (length: number, trouble: string) =>
  moduleDataset(new URL(`./odd-dataset${extension}`, import.meta.url), length, trouble);

/** `count` images of noise, 10 x 12 with 3 channels, in 4 classes. */
function noise(count: number): ImageMemory {
  const [height, width, channels] = [10, 12, 3];
  const rng = new Rng(seedKey(11));
  const pixels = sharedBytes(count * height * width * channels);
  for (let i = 0; i < pixels.length; i++) pixels[i] = rng.int(256);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 4);
  return new ImageMemory({ pixels, height, width, channels, labels, classes: ["a", "b", "c", "d"], origin: "noise" });
}

const scale = normalize([0.5, 0.4, 0.3], [0.2, 0.25, 0.3]);
const heavy = [randomResizedCrop(8), randAugment(), colorJitter({ brightness: 0.4, hue: 0.1 }), scale, randomErasing()];

async function collect(loader: DataLoader, epoch: number): Promise<HostArray[][]> {
  const batches: HostArray[][] = [];
  for await (const batch of loader.batches(epoch)) batches.push(batch);
  return batches;
}

const make = (dataset: Dataset, options: Partial<LoaderOptions> = {}) =>
  new DataLoader(dataset, { batchSize: 4, shuffle: true, seed: 7, workers: 0, ...options });

test("every sample comes once per epoch; epochs and seeds differ; the same seed repeats", async () => {
  const set = noise(22);
  const loader = make(set);
  assert.equal(loader.length, 6);
  const order = loader.order(0);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(22).keys()],
  );
  assert.deepEqual(make(set).order(0), order);
  assert.notDeepEqual(loader.order(1), order);
  assert.notDeepEqual(make(set, { seed: 8 }).order(0), order);
  assert.deepEqual([...make(set, { shuffle: false }).order(3)], [...Array(22).keys()]);
  const batches = await collect(loader, 0);
  assert.deepEqual(
    batches.map(([images, labels]) => [images.dtype, images.shape[0], labels.shape[0]]),
    [4, 4, 4, 4, 4, 2].map((n) => ["u8", n, n]),
  );
  assert.deepEqual(
    batches.flatMap(([, labels]) => [...labels.data]),
    Array.from(order, (i) => i % 4),
  );
  assert.equal((await collect(make(set, { dropLast: true }), 0)).length, 5);
});

test("the one-pass crop, flip and normalize equals the single steps bit for bit", async () => {
  const memory = subset(
    noise(40),
    Uint32Array.from({ length: 30 }, (_, i) => 39 - i),
  );
  const plain = map(memory, (sample) => sample); // hides that it is memory
  for (const transforms of [
    [scale],
    [toFloat()],
    [horizontalFlip(), scale],
    [randomCrop(10, { padding: 3, fill: 9 }), scale],
    [randomCrop([9, 14], { padding: 2 }), horizontalFlip(0.7), scale],
    [randomCrop(4), horizontalFlip(), toFloat()],
    [randomCrop(30, { padding: 12 }), horizontalFlip(), scale],
    [randomCrop(10, { padding: 3, mode: "reflect" }), horizontalFlip(), scale],
  ]) {
    const fused = await collect(make(memory, { transforms }), 2);
    assert.deepEqual(fused, await collect(make(plain, { transforms }), 2));
    assert.equal(fused[0][0].dtype, "f32");
  }
});

test("several views of a sample: one field each, drawn apart, the first as without others", async () => {
  const weak = [randomCrop([10, 12], { padding: 2 }), horizontalFlip(), scale];
  const set = noise(8);
  const [[plain]] = await collect(make(set, { transforms: weak }), 1);
  // The first pair is made in one pass, the second is not.
  for (const views of [
    [weak, weak],
    [weak, weak, heavy],
  ]) {
    const [batch] = await collect(make(set, { views }), 1);
    assert.equal(batch.length, views.length + 1);
    assert.deepEqual(batch[0], plain);
    assert.notDeepEqual(batch[1].data, plain.data, "a second view has random numbers of its own");
    assert.deepEqual(batch[1].shape, plain.shape);
    assert.equal(batch.at(-1)?.dtype, "i32");
  }
  const [fused] = await collect(make(set, { views: [weak, weak] }), 1);
  const [single] = await collect(make(set, { views: [weak, weak, heavy] }), 1);
  assert.deepEqual(fused[1], single[1]);
  assert.throws(() => make(set, { views: [weak], transforms: weak }), /give transforms or views, not both/);
  assert.throws(() => make(set, { views: [] }), /views is empty/);
  assert.throws(() => make(set, { views: [weak, weak], batchTransforms: [mixup()] }), /cannot be used with views/);
});

test("batches are the same bit for bit on 0, 1 and 2 workers and with any prefetch", async () => {
  const set = concat(noise(9), subset(noise(20), [3, 1, 4, 1, 5]));
  const options = { transforms: heavy, batchTransforms: [oneOf(mixup(0.4), cutmix())] };
  const expected = await collect(make(set, options), 1);
  assert.equal(expected.length, 4);
  for (const [workers, prefetch] of [
    [0, 3],
    [1, 0],
    [2, 1],
    [2, 9],
  ]) {
    const loader = make(set, { ...options, workers, prefetch });
    assert.deepEqual(await collect(loader, 1), expected, `workers ${workers}, prefetch ${prefetch}`);
    await loader.close();
  }
});

test("a loader resumed at any batch goes on exactly as if never stopped", async () => {
  const set = noise(18);
  const options = { transforms: heavy };
  const expected = [await collect(make(set, options), 0), await collect(make(set, options), 1)];
  for (let stop = 0; stop <= 5; stop++) {
    const first = make(set, options);
    let seen = 0;
    if (stop > 0)
      for await (const batch of first.batches(0)) {
        assert.deepEqual(batch, expected[0][seen++]);
        if (seen === stop) break;
      }
    assert.deepEqual(first.state(), { epoch: 0, batch: stop });
    const state = JSON.parse(JSON.stringify(first.state()));
    for (const workers of stop === 3 ? [0, 2] : [0]) {
      const second = make(set, { ...options, workers });
      second.restore(state);
      assert.deepEqual(await collect(second, 0), expected[0].slice(stop));
      assert.deepEqual(await collect(second, 1), expected[1]);
      assert.deepEqual(await collect(second, 0), expected[0], "a second pass begins at the beginning");
      await second.close();
    }
  }
  assert.throws(() => make(set).restore({ epoch: 0, batch: 6 }), /an epoch has 5 batches/);
});

test("mixup and cutmix: labels stay distributions, images stay inside, and both follow the seed", async () => {
  const set = noise(16);
  for (const batchTransforms of [[mixup(0.3)], [cutmix()], [mixup(), cutmix()]]) {
    const [[images, labels]] = await collect(make(set, { transforms: [toFloat()], batchTransforms, batchSize: 16 }), 0);
    assert.deepEqual(labels.shape, [16, 4]);
    for (let n = 0; n < 16; n++) {
      const row = labels.data.slice(4 * n, 4 * n + 4);
      assert.ok(Math.abs(row[0] + row[1] + row[2] + row[3] - 1) < 1e-6);
    }
    assert.ok(images.data.every((v) => v >= 0 && v <= 1));
  }
  const [[images, labels]] = await collect(
    make(set, { transforms: [toFloat()], batchTransforms: [cutmix()], batchSize: 16, shuffle: false }),
    0,
  );
  const [[plain]] = await collect(make(set, { transforms: [toFloat()], batchSize: 16, shuffle: false }), 0);
  const changed = [...plain.data.slice(360, 480)].filter((v, i) => images.data[360 + i] !== v).length / 120;
  assert.ok(Math.abs(changed - labels.data[4 * 1 + 0]) < 0.02, "the label's share is the area's share");
  await assert.rejects(collect(make(set, { batchTransforms: [mixup()] }), 0), /take images f32 \[b, c, h, w\]/);
});

test("wrong options, wrong transforms and unequal shapes are named", async () => {
  const set = noise(4);
  assert.throws(() => make(set, { batchSize: 0 }), /batchSize is 0/);
  assert.throws(() => make(set, { seed: -1 }), /seed is -1/);
  assert.throws(() => make(set, { workers: 1.5 }), /workers is 1\.5/);
  const misspelt = JSON.parse('[{ "op": "randomCorp" }]');
  assert.throws(() => make(set, { transforms: misspelt }), /unknown transform "randomCorp"; did you mean randomCrop/);
  assert.throws(
    () =>
      make(
        map(set, (s) => s),
        { workers: 1 },
      ),
    /use workers: 0, or moduleDataset/,
  );
  await assert.rejects(collect(make(set, { transforms: [randomCrop(64)] }), 0), /noise image \d: randomCrop: a 64x64/);
  await assert.rejects(collect(make(set, { transforms: [scale, centerCrop(4)] }), 0), /centerCrop: works on u8 pixels/);
  const greyMean = normalize([0.5], [0.5]);
  assert.throws(() => make(set, { transforms: [greyMean] }), /mean has 1 and std 1 values, the image has 3 channels/);
  const shapes = make(await odd(8, "shapes"), { shuffle: false });
  await assert.rejects(collect(shapes, 0), /field 0 of odd\/5\.dat is f32 \[3\], of odd\/4\.dat f32 \[2\]/);
});

test("a worker that throws or dies is an error with the sample's path, and the loader can go on", async () => {
  const throwing = make(await odd(12, "throw"), { shuffle: false, workers: 2 });
  await assert.rejects(collect(throwing, 0), /odd\/5\.dat: the disk is on fire/);
  const first = throwing.batches(0);
  assert.deepEqual([...((await first.next()).value as HostArray[])[1].data], [0, 1, 0, 1]);
  await first.return();
  await throwing.close();

  const dying = make(await odd(12, "exit"), { shuffle: false, workers: 1, prefetch: 0 });
  const failure = /crashed at batch 1 \(odd\/4\.dat and 3 more\): it ended with status 3/;
  await assert.rejects(collect(dying, 0), failure);
  await assert.rejects(collect(dying, 0), failure);
  await dying.close();
});

test("a collate function joins samples itself, also when workers read them", async () => {
  const total = (samples: readonly (readonly (HostArray | number)[])[]): HostArray[] => [
    { dtype: "f32", shape: [1], data: Float32Array.of(samples.reduce((sum, [, label]) => sum + Number(label), 0)) },
  ];
  for (const workers of [0, 1]) {
    const loader = make(await odd(8, "none"), { collate: total, workers });
    const sums = (await collect(loader, 0)).map(([sum]) => sum.data[0]);
    assert.equal(
      sums.reduce((a, b) => a + b),
      4,
    );
    await loader.close();
  }
});

test("timers and signals get a turn while batches are read without waiting", async () => {
  const loader = make(noise(4000), { transforms: [randAugment(), scale], batchSize: 40 });
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  for await (const _ of loader.batches(0)) if (fired) break;
  assert.ok(fired && loader.state().batch < loader.length);
});

test("the process ends by itself after an epoch, after a break and after an error, with workers left open", () => {
  const module = new URL(`../../src/data/index${extension}`, import.meta.url).href;
  const dataset = new URL(`./odd-dataset${extension}`, import.meta.url).href;
  const script = `
    import { DataLoader, moduleDataset } from ${JSON.stringify(module)};
    const open = async (trouble) => new DataLoader(await moduleDataset(${JSON.stringify(dataset)}, 64, trouble), { batchSize: 2, workers: 2 });
    for await (const _ of (await open("none")).batches(0)) ;
    for await (const _ of (await open("none")).batches(0)) break;
    try { for await (const _ of (await open("throw")).batches(0)) ; } catch (error) { console.log(error.message); }
    console.log("done");`;
  const args = ["--input-type=module", "-e", script];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 });
  assert.equal(stdout, "odd/5.dat: the disk is on fire\ndone\n", stderr);
  assert.equal(status, 0);
});

test("close rejects what is awaited", async () => {
  const loader = make(await odd(8, "none"), { workers: 1 });
  const closed = assert.rejects(loader.batches(0).next(), /the loader was closed/);
  await sleep(5);
  await loader.close();
  await closed;
});

test("subset, concat, map and split", async () => {
  const set = noise(20);
  const some = subset(subset(set, [19, 3, 7]), [2, 0]);
  assert.deepEqual([...(some.labels ?? [])], [3, 3]);
  assert.deepEqual(await some.get(0), set.get(7));
  assert.equal(some.describe(1), "noise image 19");
  assert.throws(() => subset(set, [20]), /sample 20 does not exist; the data set has 20/);
  assert.throws(() => set.get(-1), /sample -1 does not exist/);

  const both = concat(set, some);
  assert.equal(both.length, 22);
  assert.deepEqual(await both.get(21), set.get(19));
  assert.deepEqual([...(both.labels ?? [])].slice(18), [2, 3, 3, 3]);
  assert.throws(
    () =>
      concat(
        set,
        map({ ...some, classes: ["x"] }, (s) => s),
      ),
    /different classes/,
  );

  const doubled = map(set, ([, label]) => [Number(label) * 2]);
  assert.deepEqual(await doubled.get(3), [6]);

  const [test20, train80] = split(set, [0.2, 0.8], { seed: 5 });
  assert.deepEqual([...(test20.labels ?? [])].sort(), [0, 1, 2, 3]);
  assert.equal(train80.length, 16);
  const names = (part: Dataset) => Array.from({ length: part.length }, (_, i) => part.describe(i));
  assert.equal(new Set([...names(test20), ...names(train80)]).size, 20);
  assert.deepEqual(names(split(set, [0.2], { seed: 5 })[0]), names(test20));
  assert.notDeepEqual(names(split(set, [0.2], { seed: 6 })[0]), names(test20));
  assert.throws(() => split(set, [0.7, 0.7]), /must be at least 0 and sum to at most 1/);
});
