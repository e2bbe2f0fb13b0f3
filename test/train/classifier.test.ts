import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DataLoader, ImageMemory, normalize, toFloat } from "../../src/data/index.ts";
import { setBackend, type Tensor, tensor } from "../../src/index.ts";
import { Flatten, Linear, Module, Sequential } from "../../src/nn/index.ts";
import {
  batchSheet,
  type ClassifierCard,
  cardNotes,
  classifierReport,
  contactSheet,
  evaluateClassifier,
  imageInput,
  pictureOf,
  readCard,
  topClasses,
} from "../../src/train/index.ts";
import { shrink } from "../../src/train/pictures.ts";

before(() => setBackend("reference"));
after(() => setBackend("auto"));

const classes = ["north-west", "north-east", "south-west", "south-east"];

/** Logits are the four pixels themselves: the brightest corner is the class. Notes the mode that it is called in. */
class Corners extends Module {
  layers = new Sequential(new Flatten(), new Linear(4, 4, { bias: false }));
  readonly modes: boolean[] = [];

  constructor() {
    super();
    const identity = Float32Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0));
    this.loadStateDict(new Map([["layers.1.weight", tensor(identity, { shape: [4, 4] })]]));
  }
  forward(x: Tensor): Tensor {
    this.modes.push(this.training);
    return this.layers.forward(x);
  }
}

/** Six images 2x2; the fourth and the sixth do not show their label. */
const images = new ImageMemory({
  pixels: Uint8Array.of(255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 51, 0, 0, 0, 255, 0, 102, 0, 0),
  labels: Int32Array.of(0, 1, 2, 3, 3, 0),
  height: 2,
  width: 2,
  channels: 1,
  classes,
  origin: "corners",
});
const loader = (batchSize: number) => new DataLoader(images, { batchSize, transforms: [toFloat()] });

const card: ClassifierCard = {
  model: { name: "corners", options: {} },
  classes,
  input: { ...imageInput([2, 2, 1], [0.5], [0.5]), transforms: [toFloat()] },
  data: { name: "corners", testFraction: 0.2, seed: 0 },
};

test("evaluation counts, averages and keeps the worst mistakes, whatever the batch size", async () => {
  const logits = [0, 1, 2, 3, 4, 5].map((n) => Array.from(images.block.pixels.slice(4 * n, 4 * n + 4), (p) => p / 255));
  const softmax = logits.map((row) => {
    const e = row.map(Math.exp);
    const sum = e.reduce((a, b) => a + b);
    return e.map((v) => v / sum);
  });
  const loss = softmax.reduce((sum, row, n) => sum - Math.log(row[images.labels[n]]) / 6, 0);
  for (const batchSize of [1, 4, 6]) {
    const model = new Corners();
    const result = await evaluateClassifier(model, loader(batchSize), { samples: 2 });
    assert.equal(result.accuracy, 4 / 6);
    assert.ok(Math.abs(result.loss - loss) < 1e-6, `${result.loss} ${loss}`);
    assert.equal(result.top5, null);
    assert.deepEqual(result.confusion.counts[3], [1, 0, 0, 1]);
    assert.deepEqual(
      result.mistakes.map(({ truth, predicted }) => [truth, predicted]),
      [
        [3, 0],
        [0, 1],
      ],
    );
    assert.ok(Math.abs(result.mistakes[0].probability - softmax[3][0]) < 1e-6);
    assert.deepEqual(
      result.samples.map(({ truth }) => truth),
      [0, 3],
    );
    assert.ok(model.modes.every((training) => !training) && model.training);
  }
  const one = await evaluateClassifier(new Corners(), loader(6), { mistakes: 1 });
  assert.deepEqual(
    one.mistakes.map(({ truth }) => truth),
    [3],
  );
});

test("an empty data set is refused", async () => {
  const empty = new DataLoader(images.select(new Uint32Array(0)), { batchSize: 1 });
  await assert.rejects(evaluateClassifier(new Corners(), empty), /the data set is empty/);
});

test("the report shows layers, mistakes and samples", async () => {
  const model = new Corners();
  const parts = await classifierReport(card, model, await evaluateClassifier(model, loader(6)));
  assert.equal(parts.summary, "2 of 6 test images are taken for something else.");
  assert.deepEqual(
    parts.model?.layers.map(({ name, flops }) => [name, flops]),
    [
      ["layers.0", 0],
      ["layers.1", 16],
    ],
  );
  assert.deepEqual(
    parts.mistakes?.map(({ truth, predicted }) => [truth, predicted]),
    [
      ["south-east", "north-west"],
      ["north-west", "north-east"],
    ],
  );
  assert.match(parts.samples?.[0].caption ?? "", /^north-west 47\.5\u00a0%$/);
});

test("a card goes through the notes of a checkpoint; others are refused", () => {
  assert.deepEqual(readCard("x", cardNotes(card)), card);
  assert.throws(
    () => readCard("x.safetensors", {}),
    /x.safetensors: this checkpoint is not one of an image classifier/,
  );
  for (const [text, message] of [
    ["{", /not valid JSON/],
    ["null", /is incomplete/],
    ["[]", /is incomplete/],
    [JSON.stringify({ ...card, classes: [1] }), /is incomplete/],
    [JSON.stringify({ ...card, input: { ...card.input, height: 0 } }), /is incomplete/],
  ] as const)
    assert.throws(() => readCard("x", { classifier: text }), message);
});

test("the most probable classes, first ones first", () => {
  assert.deepEqual(
    topClasses([0, Math.log(3), -Infinity, 0], classes, 2).map(({ label, probability }) => [
      label,
      probability.toFixed(3),
    ]),
    [
      ["north-east", "0.600"],
      ["north-west", "0.200"],
    ],
  );
});

test("pictures are what they were before they were scaled, shrunk by averages, and laid out in rows", async () => {
  const scaled = Float32Array.of(-1, 1, 0, 3);
  const grey = pictureOf(scaled, [1, 2, 2], [normalize([0.5], [0.5])]);
  assert.deepEqual([...grey.data], [0, 255, 128, 255]);
  const colour = pictureOf(Float32Array.of(0, 1, 0.5), [3, 1, 1], [toFloat()]);
  assert.deepEqual([colour.channels, ...colour.data], [3, 0, 255, 128]);
  assert.deepEqual([...shrink(grey, 1).data], [160]);
  const sheet = contactSheet([grey, grey, grey], 2);
  assert.deepEqual([sheet.width, sheet.height], [10, 10]);
  assert.deepEqual([...sheet.data.subarray(22, 30)], [0, 255, 128, 128, 0, 255, 128, 128]);
  assert.throws(() => contactSheet([], 2), /there are no pictures/);
  assert.throws(() => contactSheet([grey, colour], 2), /picture 1 is 1x1x3, the first one 2x2x1/);
  const batch = await batchSheet(tensor(new Float32Array(40), { shape: [10, 1, 2, 2] }), [toFloat()]);
  assert.deepEqual([batch.width, batch.height], [34, 10]);
});
