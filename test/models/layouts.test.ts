/** Files of weights with the names of timm and transformers: what they tell, what is refused, and what is changed. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { centerCrop, normalize, resize } from "../../src/data/index.ts";
import { type HostArray, setBackend, tensor } from "../../src/index.ts";
import { writeSafetensors } from "../../src/io/index.ts";
import { describeTensors, fileClassifier, modelsOf, openWeights, takeWeights } from "../../src/models/index.ts";
import { type Layout, namesIn } from "../../src/models/layouts/layout.ts";
import type { ModelOptions } from "../../src/models/options.ts";
import { resizePositions } from "../../src/models/positions.ts";
import { createModel, findModel } from "../../src/models/registry.ts";
import { modelOfTimm } from "../../src/models/weights/timm-names.ts";
import { initialize, type Layer } from "../../src/nn/index.ts";

let root: string;
before(async () => {
  setBackend("reference");
  root = await mkdtemp(join(tmpdir(), "manabi-layouts-"));
});
after(async () => {
  setBackend("auto");
  await rm(root, { recursive: true });
});

const layoutsOf = async (name: string, library: Layout["library"]) =>
  (await findModel(name).family.layouts()).filter((layout) => layout.library === library);

/** A new model, and its tensors as a library names them. */
async function fileOf(name: string, layout: Layout, options: ModelOptions) {
  const model = initialize(await createModel(name, options), 5);
  const file = new Map<string, HostArray>();
  const names = namesIn(layout, model.variables().keys());
  for (const [key, value] of model.stateDict()) {
    const parts = names.get(key) ?? [];
    for (const [i, there] of parts.entries()) {
      const rows = value.shape[0] / parts.length;
      file.set(there, await (parts.length > 1 ? value.slice(0, i * rows, (i + 1) * rows) : value).host());
    }
  }
  return { model, file };
}
const tensors = async (model: Layer) =>
  new Map(await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, await t.host()] as const)));

const tinyViT = { imageSize: 32, patchSize: 8, layers: 2, heads: 2, width: 8, mlpWidth: 16, numClasses: 3 };

test("every layout of a ViT that transformers has had gives the same model", async () => {
  const layouts = await layoutsOf("vit_b_16", "transformers");
  assert.equal(layouts.length, 4);
  for (const layout of layouts) {
    const { model, file } = await fileOf("vit_b_16", layout, tinyViT);
    // Files of the base model have a pooler, of which a classifier makes nothing.
    file.set([...file.keys()][0].startsWith("vit.") ? "vit.pooler.dense.bias" : "pooler.dense.bias", {
      ...{ dtype: "f32", shape: [8] },
      data: new Float32Array(8),
    });
    const taken = await takeWeights("vit_b_16", await createModel("vit_b_16", tinyViT), file);
    assert.deepEqual(await tensors(taken), await tensors(model));
  }
});

test("missing, extra and misshapen keys have the names that the file has", async () => {
  const [layout] = await layoutsOf("vit_b_16", "transformers");
  const { file } = await fileOf("vit_b_16", layout, tinyViT);
  file.delete("vit.encoder.layer.1.attention.attention.key.weight");
  file.set("vit.encoder.layer.2.output.dense.bias", { dtype: "f32", shape: [8], data: new Float32Array(8) });
  file.set("vit.layernorm.weight", { dtype: "f32", shape: [7], data: new Float32Array(7) });
  const taken = takeWeights("vit_b_16", await createModel("vit_b_16", tinyViT), file);
  await assert.rejects(taken, (error: Error) => {
    assert.match(error.message, /^keys of transformers: loadStateDict/);
    assert.match(error.message, /missing: .*attention\.query\.weight, .*attention\.key\.weight/);
    assert.match(error.message, /unexpected: .*vit\.encoder\.layer\.2\.output\.dense\.bias/);
    assert.match(error.message, /other shape: vit\.layernorm\.weight is \[7\], the model has \[8\]/);
    return true;
  });
  const [query, key] = ["query", "key"].map((kind) => `vit.encoder.layer.1.attention.attention.${kind}.weight`);
  const short = (await fileOf("vit_b_16", layout, tinyViT)).file;
  short.set(key, { dtype: "f32", shape: [8, 7], data: new Float32Array(56) });
  await assert.rejects(
    async () => takeWeights("vit_b_16", await createModel("vit_b_16", tinyViT), short),
    (error: Error) => error.message.startsWith(`${query}, ${key}, `) && error.message.includes("their shapes differ"),
  );
});

test("a new head takes the place of whatever the file has, and the number of batches may be missing", async () => {
  const [layout] = await layoutsOf("mobilenet_v2", "timm");
  const narrow = { width: 0.1, numClasses: 5 };
  const { model, file } = await fileOf("mobilenet_v2", layout, narrow);
  for (const key of [...file.keys()]) if (key.endsWith("num_batches_tracked")) file.delete(key);
  file.delete("classifier.bias");
  const taken = await takeWeights(
    "mobilenet_v2",
    await createModel("mobilenet_v2", { ...narrow, numClasses: 2 }),
    file,
    {
      newHead: { seed: 3 },
    },
  );
  const [got, want] = [await tensors(taken), await tensors(model)];
  assert.deepEqual(got.get("classifier.1.weight")?.shape, [2, 1280]);
  assert.deepEqual(got.get("features.4.conv.1.1.running_var"), want.get("features.4.conv.1.1.running_var"));
  assert.deepEqual(got.get("features.18.1.num_batches_tracked")?.data, new Int32Array(1));
});

test("position embeddings follow the size of the images, with a notice", async () => {
  const [layout] = await layoutsOf("vit_b_16", "timm");
  const { model, file } = await fileOf("vit_b_16", layout, tinyViT);
  const notices: string[] = [];
  const larger = await createModel("vit_b_16", { ...tinyViT, imageSize: 48 });
  const taken = await takeWeights("vit_b_16", larger, file, { onNotice: (text) => notices.push(text) });
  assert.deepEqual(notices, ["the position embeddings of 4 x 4 patches are resized to 6 x 6"]);
  const key = "encoder.pos_embedding";
  const want = resizePositions(model.stateDict().get(key) ?? assert.fail(), 6);
  assert.deepEqual((await tensors(taken)).get(key)?.data, (await want.host()).data);
});

test("what the tensors of a file tell of its model", async () => {
  const [timm] = await layoutsOf("efficientnet_b5", "timm");
  const [hf] = await layoutsOf("efficientnet_b5", "transformers");
  const shapes = async (name: string, layout: Layout | null, options: ModelOptions) => {
    const own = (await createModel(name, options)).variables();
    const names = namesIn(layout, own.keys());
    return new Map(
      [...own].flatMap(([key, { shape }]) => (names.get(key) ?? []).map((there) => [there, shape] as const)),
    );
  };
  const gray = { inChannels: 1, numClasses: 7 };
  const told = async (name: string, layout: Layout | null) => describeTensors(name, await shapes(name, layout, gray));
  assert.deepEqual(await told("efficientnet_b5", timm), {
    ...{ library: "timm", classes: 7 },
    options: { normEps: 1e-5, normMomentum: 0.1, inChannels: 1 },
  });
  assert.deepEqual(await told("efficientnet_b5", hf), {
    ...{ library: "transformers", classes: 7 },
    options: { padding: "same", normEps: 1e-3, normMomentum: 0.01, inChannels: 1 },
  });
  assert.deepEqual((await told("tf_efficientnet_b5", timm)).options, { inChannels: 1 });
  assert.deepEqual(await told("efficientnet_b5", null), { library: null, classes: 7, options: { inChannels: 1 } });

  const b0 = await shapes("efficientnet_b0", timm, gray);
  assert.deepEqual(await modelsOf(b0), ["efficientnet_b0", "tf_efficientnet_b0"]);
  assert.deepEqual((await modelsOf(b0, "tf_efficientnet_b0_aa-827b6e33.pth"))[0], "tf_efficientnet_b0");
  const [vit] = await layoutsOf("vit_b_16", "timm");
  const at384 = await shapes("vit_ti_16", vit, { imageSize: 384, numClasses: 5 });
  assert.deepEqual(await modelsOf(at384), ["vit_ti_16"]);
  assert.deepEqual((await describeTensors("vit_ti_16", at384)).options, { inChannels: 3, imageSize: 384 });
  assert.deepEqual(await modelsOf(new Map([["conv1.weight", [3, 3, 3, 3]]])), []);
});

test("names of timm that are not ours", () => {
  const named = (name: string) => Object.values(modelOfTimm(name));
  assert.deepEqual(named("vit_small_patch32_384"), ["vit_s_16", { imageSize: 384, patchSize: 32 }]);
  assert.deepEqual(named("vit_large_patch32_224"), ["vit_l_32", { imageSize: 224, patchSize: 32 }]);
  assert.deepEqual(named("vit_huge_patch14_224"), ["vit_h_14", { imageSize: 224, patchSize: 14 }]);
  assert.deepEqual(named("vit_base_r50_s16_384"), ["vit_base_r50_s16_224", { imageSize: 384 }]);
  assert.deepEqual(named("mobilenetv2_140"), ["mobilenet_v2", { width: 1.4 }]);
  assert.deepEqual(named("vit_base_patch16_clip_224"), ["vit_base_patch16_clip_224", {}]);
});

/** A folder with a file of weights and others beside it. */
async function folderOf(name: string, file: Map<string, HostArray>, beside: Readonly<Record<string, unknown>>) {
  const folder = join(root, name);
  await mkdir(folder);
  await writeSafetensors(join(folder, "model.safetensors"), file);
  for (const [there, value] of Object.entries(beside)) await writeFile(join(folder, there), JSON.stringify(value));
  return join(folder, "model.safetensors");
}

test("a file without a config: the model by its tensors, and ImageNet's preprocessing with a notice", async () => {
  const [layout] = await layoutsOf("cifar_vit", "timm");
  const { model, file } = await fileOf("cifar_vit", layout, { numClasses: 3 });
  const path = await folderOf("bare", new Map([...file].map(([key, v]) => [`module.${key}`, v])), {});
  const notices: string[] = [];
  const { model: made, weights } = await fileClassifier(path, (text) => notices.push(text));
  assert.match(
    notices.join(),
    /cifar_vit with the keys of timm, 3 classes; nothing tells .*: 32 pixels and ImageNet's/,
  );
  assert.deepEqual([weights.model, weights.classes, weights.input.height], ["cifar_vit", ["0", "1", "2"], 32]);
  const x = tensor(new Float32Array(3 * 32 * 32).fill(0.5), [1, 3, 32, 32]);
  assert.deepEqual(await made.forward(x).data(), await model.eval().forward(x).data());
  const odd = await folderOf(
    "odd",
    new Map([["a.weight", { dtype: "f32", shape: [1], data: new Float32Array(1) }]]),
    {},
  );
  await assert.rejects(fileClassifier(odd), /not those of any model here/);
});

test("config.json and preprocessor_config.json of transformers", async () => {
  const [layout] = await layoutsOf("cifar_resnet20", "transformers");
  const { file } = await fileOf("cifar_resnet20", layout, { numClasses: 2 });
  const config = { model_type: "resnet", hidden_act: "relu", id2label: { 1: "dog", 0: "cat" } };
  const preprocessor = {
    ...{ size: 160, crop_pct: 0.8, resample: 3 },
    ...{ image_mean: [0.1, 0.2, 0.3], image_std: [0.4, 0.5, 0.6] },
  };
  const path = await folderOf("hf", file, { "config.json": config, "preprocessor_config.json": preprocessor });
  const { model, library, classes, input, options } = await openWeights(path);
  assert.deepEqual(
    [model, library, classes, options],
    ["cifar_resnet20", "transformers", ["cat", "dog"], { inChannels: 3 }],
  );
  assert.deepEqual(input, {
    ...{ height: 160, width: 160, channels: 3 },
    transforms: [resize(200, "bicubic"), centerCrop(160), normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])],
  });
  const refused = async (name: string, other: object, error: RegExp) =>
    assert.rejects(openWeights(await folderOf(name, file, { "config.json": { ...config, ...other } })), error);
  await refused("swin", { model_type: "swin" }, /model_type "swin"; of transformers, vit, resnet, .* can be read/);
  await refused("tanh", { hidden_act: "tanh" }, /hidden_act "tanh"; models of this kind have "relu"/);
});
