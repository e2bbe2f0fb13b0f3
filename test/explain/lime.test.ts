/** LIME finds what was planted, is the same under the same seed, and says what it cannot explain. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sigmoid, type Tensor, tensor } from "manabi";
import { normalize } from "manabi/data";
import { describeTable, limeImage, limeTabular, limeText, type Segmentation } from "manabi/explain";
import { Rng } from "../../src/core/rng.ts";

/** 300 rows of six columns: normal numbers, but for column 4, which is one of three kinds, and column 5, which is constant. */
const rows = Array.from({ length: 300 }, (_, i) => {
  const rng = new Rng([9, i]);
  return [rng.normal(), 10 + 3 * rng.normal(), rng.normal(), rng.normal(), rng.int(3), 7];
});
const kinds = ["red", "green", "blue"];
/** Depends on columns 1 and 4 alone. */
const judge = (batch: Tensor): Tensor => {
  const high = sigmoid(batch.slice(1, 1, 2).sub(10));
  const green = batch.slice(1, 4, 5).eq(1).cast("f32");
  return high.add(green).div(2);
};
const row = [0.1, 14, -0.2, 0.3, 1, 7];

for (const bins of ["quartile", "decile", null] as const)
  test(`a table with two columns that matter, ${bins ?? "not divided"}`, async () => {
    const table = describeTable(rows, { names: [..."abcdef"], categorical: { 4: kinds }, bins });
    const [{ weights, score, target, fidelity }] = await limeTabular(judge, table, row, { samples: 2000 });
    assert.deepEqual(new Set(weights.slice(0, 2).map(({ name }) => name)), new Set(["b", "e"]));
    for (const { weight } of weights.slice(0, 2)) assert.ok(weight > 0.1);
    for (const { weight } of weights.slice(2)) assert.ok(Math.abs(weight) < 0.05, `${weight}`);
    assert.ok(fidelity > 0.7, `${fidelity}`);
    assert.equal(target, 0);
    assert.ok(Math.abs(score - (1 / (1 + Math.exp(-4)) + 1) / 2) < 1e-6);
    const conditions = weights.map(({ condition }) => condition);
    assert.ok(conditions.includes("e = green"));
    const bound = { quartile: /^b > 1\d\.\d\d$/, decile: /^1\d\.\d\d < b <= 1\d\.\d\d$/, none: /^b$/ }[bins ?? "none"];
    assert.match(weights.find(({ name }) => name === "b")?.condition ?? "", bound);
  });

test("rows are drawn as the table has them", async () => {
  const table = describeTable(rows, { categorical: { 4: kinds }, bins: "quartile" });
  const drawn: number[] = [];
  const keep = async (batch: Tensor) => {
    drawn.push(...(await batch.data()));
    return judge(batch);
  };
  await limeTabular(keep, table, row, { samples: 2000, batchSize: 2000 });
  const column = (c: number) => drawn.filter((_, i) => i % 6 === c).slice(1);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const all = rows.map((r) => r[1]);
  assert.ok(Math.abs(mean(column(1)) - mean(all)) < 0.25);
  assert.ok(column(1).every((value) => value >= Math.min(...all) - 1e-4 && value <= Math.max(...all) + 1e-4));
  assert.deepEqual(new Set(column(4)), new Set([0, 1, 2]));
  assert.ok(column(5).every((value) => value === 7));
  const near = describeTable(rows, { bins: null });
  drawn.length = 0;
  await limeTabular(keep, near, row, { samples: 2000, batchSize: 2000, around: "row" });
  assert.ok(Math.abs(mean(column(1)) - 14) < 0.25);
});

test("bounds that differ in the third decimal are told apart", () => {
  const [column] = describeTable(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => [value / 1000]),
    { names: ["dose"] },
  );
  assert.ok(column.kind === "binned");
  assert.deepEqual(
    column.bins.map(({ condition }) => condition),
    ["dose <= 0.003", "0.003 < dose <= 0.005", "0.005 < dose <= 0.007", "dose > 0.007"],
  );
});

/** Scores that are high with "superb" and low with "dull". */
const opinion = (texts: readonly string[]) =>
  texts.map((text) => {
    const p = 1 / (1 + Math.exp(3 * Number(text.includes("dull")) - 2 * Number(text.includes("superb"))));
    return [1 - p, p];
  });
const review = "The acting is superb, but the plot is dull and the film too long. So dull!";

test("a text with two words that matter, for two classes at once", async () => {
  const [against, inFavour] = await limeText(opinion, review, { targets: [0, 1], samples: 600 });
  const [first, second] = inFavour.weights;
  assert.deepEqual([first.word, second.word], ["dull", "superb"]);
  assert.ok(first.weight < -0.2 && second.weight > 0.1);
  assert.deepEqual(
    first.places,
    [...review.matchAll(/dull/g)].map(({ index }) => index),
  );
  for (const { weight } of inFavour.weights.slice(2)) assert.ok(Math.abs(weight) < 0.1, `${weight}`);
  assert.ok(inFavour.fidelity > 0.8);
  assert.ok(Math.abs(against.weights[0].weight + first.weight) < 1e-9, "two classes mirror each other");
});

test("words by position are masked in their place", async () => {
  const seen: string[] = [];
  const keep = (texts: readonly string[]) => {
    seen.push(...texts);
    return opinion(texts);
  };
  const [{ weights }] = await limeText(keep, "dull, but\nsuperb", { removal: "positions", mask: "_", samples: 40 });
  assert.equal(seen[0], "dull, but\nsuperb");
  assert.deepEqual(
    new Set(seen.map((text) => text.replace(/dull|but|superb/g, "_"))),
    new Set(["_, _\n_"]),
    "what is between words stays",
  );
  assert.deepEqual(
    weights.map(({ word }) => word),
    ["dull", "superb", "but"],
  );
  assert.deepEqual(
    (await limeText(opinion, "Über dull — 映画は superb", { samples: 40 }))[0].weights.map(({ word }) => word).sort(),
    ["dull", "superb", "Über", "映画は"],
  );
});

/** An image whose upper left corner is bright, in a grid of segments of 4 x 4 pixels. */
const corner = tensor(
  Float32Array.from({ length: 3 * 256 }, (_, i) => (i % 256 < 64 && i % 16 < 4 ? 0.9 : 0.2 + 0.001 * (i % 7))),
  [3, 16, 16],
);
const grid: Segmentation = {
  width: 16,
  height: 16,
  count: 16,
  labels: Int32Array.from({ length: 256 }, (_, p) => 4 * Math.floor(p / 64) + Math.floor((p % 16) / 4)),
};
/** How bright the corner is. */
const bright = (batch: Tensor): Tensor =>
  batch.slice(2, 0, 4).slice(3, 0, 4).mean([1, 2, 3]).reshape([batch.shape[0], 1]);

test("an image with a marked corner", async () => {
  const [{ weights, heatmap, score, fidelity }] = await limeImage(bright, corner, { segments: grid, fill: [0, 0, 0] });
  assert.equal(weights[0].feature, 0);
  assert.ok(weights[0].weight > 0.7);
  for (const { weight } of weights.slice(1)) assert.ok(Math.abs(weight) < 0.02);
  assert.ok(Math.abs(score - 0.9) < 1e-6);
  assert.ok(fidelity > 0.9);
  assert.equal(heatmap.data[0], Math.fround(weights[0].weight));
  assert.equal(heatmap.data[5], Math.fround(weights.find(({ feature }) => feature === 1)?.weight ?? 0));
});

test("superpixels of the image itself, of one with normalized values, and of a grey one", async () => {
  const values = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (i % 4096 < 28 * 64 && i % 64 < 28 ? 0.9 : 0.2));
  const image = tensor(values, [3, 64, 64]);
  const score = (batch: Tensor) => batch.slice(2, 0, 28).slice(3, 0, 28).mean([1, 2, 3]);
  const [{ segments, weights, heatmap }] = await limeImage(score, image, { fill: [0, 0, 0], samples: 200 });
  assert.ok(segments.count >= 2 && segments.count < 20, `${segments.count}`);
  assert.equal(weights[0].feature, segments.labels[0]);
  assert.ok(heatmap.data[0] > 0.5 && Math.abs(heatmap.data[4095]) < 0.05);

  const transforms = [normalize([0.5, 0.5, 0.5], [0.1, 0.1, 0.1])];
  const normalized = image.sub(0.5).div(0.1);
  const [again] = await limeImage(score, normalized, { transforms, fill: [0, 0, 0], samples: 200 });
  assert.deepEqual(again.segments, segments);
  await assert.rejects(limeImage(score, normalized), /values outside of 0 to 1.*transforms/s);
  const [grey] = await limeImage(score, image.slice(0, 0, 1), { fill: [0], samples: 200 });
  assert.deepEqual(grey.segments, segments);
});

test("a hidden segment shows its mean colour", async () => {
  const seen: number[][] = [];
  const keep = async (batch: Tensor) => {
    const values = await batch.data();
    for (let i = 0; i < batch.shape[0]; i++) seen.push([...values.subarray(i * 768, (i + 1) * 768)]);
    return batch.mean([1, 2, 3]);
  };
  await limeImage(keep, corner, { segments: grid, samples: 40, batchSize: 7 });
  const whole = [...(await corner.data())];
  const close = (a: number, b: number) => Math.abs(a - b) < 1e-6;
  assert.ok(seen[0].every((value, i) => close(value, whole[i])));
  const inSegment = (values: readonly number[], c: number, s: number) =>
    values.filter((_, i) => Math.floor(i / 256) === c && grid.labels[i % 256] === s);
  for (const image of seen)
    for (let c = 0; c < 3; c++)
      for (let s = 0; s < 16; s++) {
        const [got, was] = [inSegment(image, c, s), inSegment(whole, c, s)];
        const mean = was.reduce((a, b) => a + b) / 16;
        assert.ok(got.every((value, i) => close(value, was[i])) || got.every((value) => close(value, mean)));
      }
});

test("a black box is called with batches of one size, and progress is told", async () => {
  const sizes: number[] = [];
  const told: [number, number][] = [];
  const keep = (batch: Tensor) => {
    sizes.push(batch.shape[0]);
    return bright(batch);
  };
  const onProgress = (done: number, total: number) => void told.push([done, total]);
  await limeImage(keep, corner, { segments: grid, samples: 100, batchSize: 30, onProgress });
  assert.deepEqual(sizes, [25, 25, 25, 25]);
  assert.deepEqual(
    told,
    [25, 50, 75, 100].map((done) => [done, 100]),
  );
  sizes.length = 0;
  told.length = 0;
  await limeImage(keep, corner, { segments: grid, samples: 100, batchSize: 40, onProgress });
  assert.deepEqual(sizes, [34, 34, 34]);
  assert.deepEqual(told.at(-1), [100, 100]);
});

test("a signal ends the sampling with its reason", async () => {
  const stop = new AbortController();
  let calls = 0;
  const keep = (batch: Tensor) => {
    if (++calls === 3) stop.abort(new Error("enough"));
    return bright(batch);
  };
  const options = { segments: grid, samples: 100, batchSize: 10, signal: stop.signal };
  await assert.rejects(limeImage(keep, corner, options), /enough/);
  assert.equal(calls, 3);
});

test("a seed gives the same explanation, another one another", async () => {
  const table = describeTable(rows, { categorical: { 4: kinds } });
  const methods = {
    image: (seed: number, batchSize: number) =>
      limeImage(bright, corner, { segments: grid, fill: [0, 0, 0], samples: 64, seed, batchSize }),
    text: (seed: number, batchSize: number) => limeText(opinion, review, { samples: 64, seed, batchSize }),
    table: (seed: number, batchSize: number) => limeTabular(judge, table, row, { samples: 64, seed, batchSize }),
  };
  for (const [name, method] of Object.entries(methods)) {
    const [first] = await method(5, 64);
    assert.deepEqual((await method(5, 64))[0], first, name);
    assert.notDeepEqual((await method(6, 64))[0], first, name);
    const [other] = await method(5, 9); // sums of a batch may be rounded in another order
    for (const [i, { feature, weight }] of first.weights.entries()) {
      assert.equal(other.weights[i].feature, feature);
      assert.ok(Math.abs(other.weights[i].weight - weight) < 1e-6, name);
    }
  }
});

test("scores that do not vary have no causes", async () => {
  const [{ weights, fidelity, intercept }] = await limeText((texts) => texts.map(() => [0.3]), review, { samples: 50 });
  assert.ok(weights.every(({ weight }) => weight === 0));
  assert.equal(fidelity, 1);
  assert.ok(Math.abs(intercept - 0.3) < 1e-12);
});

test("what cannot be explained", async () => {
  const flat = tensor(new Float32Array(3 * 256).fill(0.4), [3, 16, 16]);
  await assert.rejects(limeImage(bright, flat), /the image is one segment.*constant image.*slic/s);
  await assert.rejects(
    limeImage(bright, flat.reshape([1, 3, 16, 16])),
    /expected one image \[c, h, w\], got \[1,3,16,16\]/,
  );
  await assert.rejects(limeImage(bright, corner, { segments: { ...grid, width: 8 } }), /segments are of 8 x 16 pixels/);
  await assert.rejects(limeImage(bright, corner, { segments: { ...grid, count: 15 } }), /not within 0 to 14/);
  await assert.rejects(limeImage(bright, corner, { segments: grid, fill: [1] }), /fill has 1 numbers, the image 3/);
  await assert.rejects(limeImage(bright, corner, { segments: grid, samples: 16 }), /samples is 16.*16 features/);
  await assert.rejects(limeImage(bright, corner, { segments: grid, targets: [4] }), /no class 4; the scores have 1/);
  await assert.rejects(limeImage(bright, corner, { segments: grid, batchSize: 0 }), /batchSize is 0/);
  await assert.rejects(
    limeImage((x) => bright(x).div(0).mul(0), corner, { segments: grid }),
    /is NaN/,
  );

  await assert.rejects(limeText(opinion, ""), /no word in ""/);
  await assert.rejects(limeText(opinion, " ?! "), /no word in " \?! "/);
  await assert.rejects(limeText(opinion, "dull, dull"), /"dull" is the only word/);
  await assert.rejects(limeText(opinion, review, { features: 0 }), /features is 0/);
  await assert.rejects(limeText(opinion, review, { samples: 99.5 }), /samples is 99.5; it must be an integer/);
  await assert.rejects(limeText(opinion, review, { samples: 99, kernelWidth: 0 }), /kernelWidth is 0/);
  const twins = { targets: [0], samples: 99, ridge: 0, selection: "none" } as const;
  const table = describeTable(rows, { categorical: { 4: kinds } });
  await assert.rejects(limeTabular(judge, table, row, twins), /ridge is 0.*penalty above 0/);
  const wrong = { selection: "forwards" as "forward" };
  await assert.rejects(limeText(opinion, review, wrong), /unknown selection "forwards"; did you mean forward/);

  assert.throws(() => describeTable([]), /the table is empty/);
  assert.throws(() => describeTable([[1, 2], [3]]), /row 1 has 1 numbers, the table 2 columns/);
  assert.throws(() => describeTable([[1, Number.NaN]]), /row 0 has NaN in column 1/);
  assert.throws(() => describeTable([[1, 2]], { names: ["a"] }), /1 names for 2 columns/);
  assert.throws(() => describeTable([[1, 2]], { categorical: { 2: null } }), /no column 2, only 0 to 1/);
  await assert.rejects(limeTabular(judge, describeTable(rows), [1, 2]), /the row has 2 numbers, the table 6 columns/);
});
