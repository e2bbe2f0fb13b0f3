/** Starting weights, the two ways to train a head, and what of a model is trained when. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { centerCrop, DataLoader, grayscale, ImageMemory, imageInput, normalize, resize } from "../../src/data/index.ts";
import { crossEntropy, type HostArray, jit, setBackend, type Tensor, valueAndGrad } from "../../src/index.ts";
import { saveCheckpoint, writeSafetensors } from "../../src/io/index.ts";
import { createModel } from "../../src/models/index.ts";
import { headOf, initialize, type Layer, Linear, Module } from "../../src/nn/index.ts";
import { noDecay, optimizer, sgd } from "../../src/optim/index.ts";
import {
  type ClassifierCard,
  cardNotes,
  extractFeatures,
  findStart,
  inputAt,
  splitHead,
  startModel,
  trainedParts,
} from "../../src/train/index.ts";
import { statefulOf } from "../../src/train/state.ts";
import { uniform } from "../support/check-grads.ts";

let root: string;
before(async () => {
  setBackend("reference");
  root = await mkdtemp(join(tmpdir(), "manabi-transfer-"));
});
after(async () => {
  setBackend("auto");
  await rm(root, { recursive: true });
});

const classes = ["a", "b", "c"];
const widths = [3, 4, 5];
const tiny = async (numClasses = 10): Promise<Layer> =>
  initialize(await createModel("mnist_resnet", { widths, numClasses }), 4);

async function tensorsOf(model: Layer): Promise<Map<string, HostArray>> {
  return new Map(await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, await t.host()] as const)));
}
async function fileOf(name: string, state: Map<string, HostArray>): Promise<string> {
  const path = join(root, name);
  await writeSafetensors(path, state);
  return path;
}

const pixels = Uint8Array.from(uniform(12 * 64, 3), (v) => 128 + 127 * v);
const images = new ImageMemory({
  ...{ pixels, height: 8, width: 8, channels: 1, classes, origin: "noise" },
  labels: Int32Array.from({ length: 12 }, (_, i) => i % 3),
});
const transforms = [normalize([0.5], [0.5])];

/** Trains for three epochs and returns what the parameters of the head have become. */
async function trainHead(model: Layer, cached: boolean): Promise<Map<string, readonly number[]>> {
  const rest = trainedParts(model, { mode: "features" }, 0);
  const opt = optimizer(rest, sgd({ lr: 0.1, momentum: 0.9, weightDecay: 0.01 }), { groups: [noDecay] });
  const { trunk, head } = cached ? splitHead(model, headOf(model)) : { trunk: null, head: model };
  const data = trunk ? await extractFeatures(trunk, new DataLoader(images, { batchSize: 5, transforms })) : images;
  const loader = new DataLoader(data, {
    ...{ batchSize: 4, seed: 2, shuffle: true },
    transforms: trunk ? [] : transforms,
  });
  const step = jit((x: Tensor, y: Tensor) => {
    const [loss, grads] = valueAndGrad(rest, () => crossEntropy(head.forward(x), y));
    opt.update(grads);
    return loss;
  });
  for (let epoch = 0; epoch < 3; epoch++) for await (const [x, y] of loader.epoch(epoch)) await step(x, y).data();
  return new Map(
    await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, [...(await t.data())]] as const)),
  );
}

test("a head trained on kept features is the one trained through the frozen model, and nothing else changes", async () => {
  const first = await tensorsOf(await tiny(3));
  const [kept, through] = [await trainHead(await tiny(3), true), await trainHead(await tiny(3), false)];
  for (const [key, values] of through) {
    const other = kept.get(key) ?? [];
    if (key.startsWith("fc.")) {
      assert.ok(
        values.every((v, i) => Math.abs(v - other[i]) < 1e-6),
        key,
      );
      assert.notDeepEqual(values, [...(first.get(key)?.data ?? [])], key);
    } else {
      assert.deepEqual(values, [...(first.get(key)?.data ?? [])], key);
      assert.deepEqual(values, other, key);
    }
  }
});

test("a model that does something with what its head returns cannot be split", async () => {
  class Odd extends Module {
    readonly fc = new Linear(64, 3);
    forward(x: Tensor): Tensor {
      return this.fc.forward(x.flatten(1)).mul(2);
    }
  }
  const { trunk } = splitHead(initialize(new Odd(), 1), "fc");
  const loader = new DataLoader(images, { batchSize: 4, transforms });
  await assert.rejects(extractFeatures(trunk, loader), /Odd: its output is not what its head Linear returns/);
  assert.throws(() => splitHead(new Odd(), "head"), /Odd: there is no module "head"/);
});

test("a file of weights gives all but the head, whatever its classes; keys that do not fit are named", async () => {
  const state = await tensorsOf(await tiny(10));
  const from = async (name: string, change: (state: Map<string, HostArray>) => void) => {
    const changed = new Map(state);
    change(changed);
    const start = await findStart("mnist_resnet", await fileOf(name, changed));
    return startModel("mnist_resnet", { ...start, options: { ...start.options, widths } }, classes, { seed: 7 });
  };
  for (const [name, prefix] of [
    ["plain.safetensors", ""],
    ["parallel.safetensors", "module."],
  ]) {
    const model = await from(name, (s) => {
      const own = [...s];
      s.clear();
      for (const [key, value] of own) s.set(prefix + key, value);
    });
    const got = await tensorsOf(model);
    assert.deepEqual(got.get("fc.weight")?.shape, [3, 5]);
    assert.deepEqual(got.get("layer3.0.conv1.weight")?.data, state.get("layer3.0.conv1.weight")?.data);
    assert.ok(model.training);
  }
  const headless = await from("headless.safetensors", (s) => {
    for (const key of ["fc.weight", "fc.bias"]) s.delete(key);
  });
  assert.equal(headless.variables().get("fc.weight")?.shape[0], 3);

  const wrong = from("wrong.safetensors", (s) => {
    s.delete("conv1.weight");
    s.set("extra.weight", s.get("bn1.weight") as HostArray);
    s.set("bn1.bias", { dtype: "f32", shape: [4], data: new Float32Array(4) });
  });
  await assert.rejects(wrong, (error: Error) => {
    assert.match(error.message, /^weights .*wrong\.safetensors: /);
    assert.match(error.message, /missing: conv1\.weight\n/);
    assert.match(error.message, /unexpected: extra\.weight\n/);
    assert.match(error.message, /other shape: bn1\.bias is \[4\], the model has \[3\]/);
    return true;
  });
});

test("a ViT's file has the size of its positions, and is fitted to another one with a notice", async () => {
  const model = initialize(await createModel("cifar_vit", { imageSize: 24, layers: 1, numClasses: 2 }), 4);
  const path = await fileOf("vit.safetensors", await tensorsOf(model));
  const start = await findStart("cifar_vit", path);
  assert.deepEqual(start.options, { inChannels: 3, imageSize: 24 });
  const notices: string[] = [];
  const onNotice = (text: string) => notices.push(text);
  const options = { seed: 1, model: { imageSize: 32, layers: 1 }, onNotice };
  const fitted = await startModel("cifar_vit", start, classes, options);
  assert.deepEqual(fitted.variables().get("encoder.pos_embedding")?.shape, [1, 65, 192]);
  assert.deepEqual(notices, ["the position embeddings of 6 x 6 patches are resized to 8 x 8"]);
});

test("a checkpoint of a run brings its options, input and classes, and its head where the classes are the same", async () => {
  const model = await tiny(3);
  const input = imageInput([8, 8, 1], [0.3], [0.2]);
  const options = { widths, numClasses: 3 };
  const card: ClassifierCard = {
    model: { name: "mnist_resnet", options },
    ...{ classes, input, data: { name: "x", testFraction: 0.2, seed: 0 } },
  };
  const path = join(root, "run.safetensors");
  await saveCheckpoint(path, { model: statefulOf(model) }, { notes: cardNotes(card) });
  const start = await findStart("mnist_resnet", path);
  assert.deepEqual([start.input, start.classes, start.options], [input, classes, { widths }]);
  const [same, other] = [
    await tensorsOf(await startModel("mnist_resnet", start, classes, { seed: 9 })),
    await tensorsOf(await startModel("mnist_resnet", start, ["x", "y", "z"], { seed: 9 })),
  ];
  const head = (await tensorsOf(model)).get("fc.weight")?.data;
  assert.deepEqual(same.get("fc.weight")?.data, head);
  assert.notDeepEqual(other.get("fc.weight")?.data, head);
  assert.deepEqual(other.get("conv1.weight"), same.get("conv1.weight"));
  const drawn = await tensorsOf(await startModel("mnist_resnet", start, classes, { seed: 9, drawn: true }));
  assert.notDeepEqual(drawn.get("conv1.weight"), same.get("conv1.weight"));
  await assert.rejects(findStart("resnet18", path), /are those of mnist_resnet, not of resnet18; take --model/);
});

test("names: the first known weights, those of another model, a missing and a foreign file", async () => {
  const start = await findStart("resnet50", "imagenet");
  assert.deepEqual([start.name, start.classes?.length], ["resnet50.keras_in1k", 1000]);
  assert.deepEqual(start.options, { strideIn: "1x1", normEps: 1e-3 });
  await assert.rejects(findStart("vgg16", "imagenet"), /no published weights of vgg16; those there are: .*resnet18/);
  await assert.rejects(findStart("resnet50", "resnet18.tv_in1k"), /are those of resnet18, not of resnet50/);
  await assert.rejects(findStart("resnet50", "resnet50.keras"), /did you mean .*resnet50\.keras_in1k/);
  await assert.rejects(findStart("resnet50", join(root, "no.pth")), /no\.pth: there is no such file/);
  const path = join(root, "text.pth");
  await writeFile(path, "these are no weights");
  await assert.rejects(findStart("resnet50", path), /text\.pth/);
});

test("an input at another size keeps scaling and share of the picture", () => {
  const scale = normalize([0.5, 0.5, 0.5], [0.2, 0.2, 0.2]);
  const input = { height: 224, width: 224, channels: 3, transforms: [resize(256, "bicubic"), centerCrop(224), scale] };
  assert.deepEqual(inputAt(input, 0, 3), input);
  assert.deepEqual(inputAt(input, 112, 1), {
    ...{ height: 112, width: 112, channels: 3 },
    transforms: [grayscale(3), resize(128, "bicubic"), centerCrop(112), scale],
  });
});

test("gradual unfreezing: one more stage from the head after every few epochs, never what is frozen by name", async () => {
  const model = await tiny(3);
  const modules = (epoch: number, freeze: readonly string[] = []) =>
    new Set(
      [...trainedParts(model, { mode: "finetune", freeze, unfreezeEvery: 2 }, epoch).namedParameters()].map(
        ([name]) => name.split(".")[0],
      ),
    );
  assert.deepEqual([...modules(0)], ["fc"]);
  assert.deepEqual([...modules(1)], ["fc"]);
  assert.deepEqual([...modules(2)], ["layer3", "fc"]);
  assert.deepEqual([...modules(9)], ["conv1", "bn1", "layer1", "layer2", "layer3", "fc"]);
  assert.deepEqual([...modules(9, ["conv1", "layer2"])], ["bn1", "layer1", "layer3", "fc"]);
});
