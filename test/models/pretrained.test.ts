import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { centerCrop, normalize, resize } from "../../src/data/index.ts";
import {
  batchNorm,
  conv2d,
  fromHost,
  type HostArray,
  linear,
  maxPool2d,
  relu,
  setBackend,
  type Tensor,
  tensor,
} from "../../src/index.ts";
import { writeSafetensors } from "../../src/io/index.ts";
import { findWeights, pretrained, weightNames } from "../../src/models/index.ts";
import { modelWith } from "../../src/models/pretrained.ts";
import { createModel } from "../../src/models/registry.ts";
import { ResNet, variants } from "../../src/models/resnet.ts";
import type { Weights } from "../../src/models/weights/catalogue.ts";
import { imagenetClasses } from "../../src/models/weights/imagenet-classes.ts";
import { fromKerasResNet50 } from "../../src/models/weights/keras-resnet50.ts";
import { initialize } from "../../src/nn/index.ts";
import { relativeError } from "../golden/fixture.ts";
import { uniform } from "../support/check-grads.ts";

before(() => setBackend("reference"));

const array = (shape: readonly number[], seed: number, scale = 1, centre = 0): HostArray => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(
    uniform(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    (v) => centre + scale * v,
  ),
});

describe("Keras's ResNet-50", () => {
  const widths = [2, 3, 2, 3];
  const classes = 5;
  const source = new Map<string, HostArray>();
  let seed = 1;
  const put = (name: string, shape: readonly number[], scale = 1, centre = 0) =>
    source.set(name, array(shape, seed++, scale, centre));
  const putConv = (conv: string, norm: string, size: number, input: number, output: number) => {
    put(`${conv}/kernel`, [size, size, input, output], 1 / size);
    put(`${conv}/bias`, [output], 0.3);
    put(`${norm}/gamma`, [output], 0.2, 1);
    put(`${norm}/beta`, [output], 0.2);
    put(`${norm}/moving_mean`, [output], 0.2);
    put(`${norm}/moving_variance`, [output], 0.3, 1);
  };
  const blocks: { name: string; stride: number }[] = [];
  putConv("conv1", "bn_conv1", 7, 3, widths[0]);
  variants.resnet50.layers.forEach((count, i) => {
    for (let j = 0; j < count; j++) {
      const name = `${i + 2}${"abcdef"[j]}`;
      const input = j > 0 ? 4 * widths[i] : i > 0 ? 4 * widths[i - 1] : widths[0];
      blocks.push({ name, stride: j === 0 && i > 0 ? 2 : 1 });
      if (j === 0) putConv(`res${name}_branch1`, `bn${name}_branch1`, 1, input, 4 * widths[i]);
      putConv(`res${name}_branch2a`, `bn${name}_branch2a`, 1, input, widths[i]);
      putConv(`res${name}_branch2b`, `bn${name}_branch2b`, 3, widths[i], widths[i]);
      putConv(`res${name}_branch2c`, `bn${name}_branch2c`, 1, widths[i], 4 * widths[i]);
    }
  });
  put("fc1000/kernel", [4 * widths[3], classes]);
  put("fc1000/bias", [classes]);

  const get = (name: string): Tensor => fromHost(source.get(name) ?? assert.fail(`no ${name}`));

  /** The network as Keras computes it: biased convolutions, stride in the first of each block, BGR. */
  function keras(bgr: Tensor): Tensor {
    const layer = (x: Tensor, conv: string, norm: string, stride: number, padding: number): Tensor => {
      const y = conv2d(x, get(`${conv}/kernel`).permute([3, 2, 0, 1]), get(`${conv}/bias`), { stride, padding });
      const moments = { mean: get(`${norm}/moving_mean`), variance: get(`${norm}/moving_variance`) };
      return batchNorm(y, { weight: get(`${norm}/gamma`), bias: get(`${norm}/beta`), moments, eps: 1e-3 });
    };
    let x = maxPool2d(relu(layer(bgr, "conv1", "bn_conv1", 2, 3)), 3, { stride: 2, padding: 1 });
    for (const { name, stride } of blocks) {
      const branch = (part: string, y: Tensor, s: number, p: number) =>
        layer(y, `res${name}_branch${part}`, `bn${name}_branch${part}`, s, p);
      const inner = relu(branch("2b", relu(branch("2a", x, stride, 0)), 1, 1));
      const shortcut = source.has(`res${name}_branch1/kernel`) ? branch("1", x, stride, 0) : x;
      x = relu(branch("2c", inner, 1, 0).add(shortcut));
    }
    return linear(x.mean([2, 3]), get("fc1000/kernel").transpose(), get("fc1000/bias"));
  }

  test("its converted weights give the same logits of RGB as Keras of BGR", async () => {
    const model = new ResNet({ ...variants.resnet50, widths, numClasses: classes, strideIn: "1x1", normEps: 1e-3 });
    model.loadStateDict(fromKerasResNet50(source));
    const rgb = fromHost(array([2, 3, 32, 32], 99));
    const want = await keras(rgb.flip(1)).data();
    assert.ok(relativeError(await model.eval().forward(rgb).data(), want) < 1e-4);
    // The stride elsewhere is another network.
    const other = new ResNet({ ...model.config, strideIn: "3x3" });
    other.loadStateDict(model.stateDict());
    assert.ok(relativeError(await other.eval().forward(rgb).data(), want) > 1e-2);
  });

  test("a weight that is missing, or of a layer that is not known, is named", () => {
    const without = new Map(source);
    without.delete("bn3b_branch2a/gamma");
    assert.throws(() => fromKerasResNet50(without), /there is no f32 weight "bn3b_branch2a\/gamma"/);
    const more = new Map(source).set("res9z_branch2a/kernel", array([1, 1, 1, 1], 1));
    assert.throws(() => fromKerasResNet50(more), /no layer "9z_branch2a"/);
  });
});

describe("weights by name", () => {
  test("every entry fits its model, has a licence, and a way to be fetched", async () => {
    for (const name of await weightNames()) {
      const { model, options, manifest, input, classes, licence, top1 } = await findWeights(name);
      assert.ok(name.startsWith(`${model}.`));
      assert.equal(manifest.kind, "weights");
      assert.equal(manifest.name, name);
      assert.match(manifest.files[0].sha256 ?? "", /^([0-9a-f]{8}|[0-9a-f]{64})$/);
      assert.ok(manifest.sources.length > 0 && licence && top1 && top1 > 0.5 && top1 < 1);
      assert.equal(classes.length, 1000);
      assert.equal(input.transforms.at(-1)?.op, "normalize");
      const made = await createModel(model, options);
      assert.ok(made.variables().has("fc.weight"));
    }
  });

  test("the thousand classes", () => {
    assert.equal(imagenetClasses.length, 1000);
    assert.deepEqual(
      [imagenetClasses[0], imagenetClasses[285], imagenetClasses[999]],
      ["tench", "Egyptian cat", "toilet tissue"],
    );
  });

  test("an unknown name, and a model without a tag, tell what there is", async () => {
    await assert.rejects(findWeights("resnet50.keras"), /unknown weights .* did you mean .*resnet50\.keras_in1k/);
    await assert.rejects(findWeights("resnet34"), /did you mean resnet34\.tv_in1k, resnet34\.a1_in1k\?/);
  });

  test("without a network the error says which file to put where, and what its hash is", async () => {
    const cache = await mkdtemp(join(tmpdir(), "manabi-weights-"));
    try {
      // Torchvision's files are in no registry.
      const failing = pretrained("resnet18.tv_in1k", { cache, source: "registry" });
      await assert.rejects(failing, (error: Error) => {
        assert.match(error.message, /^weights resnet18\.tv_in1k is not in the cache/);
        assert.ok(error.message.includes(`put these files into ${join(cache, "resnet18.tv_in1k")}`));
        assert.match(error.message, /resnet18-f37072fd\.pth {2}\(SHA-256 that begins with f37072fd\)/);
        return true;
      });
    } finally {
      await rm(cache, { recursive: true });
    }
  });
});

describe("a repository of timm", () => {
  const name = "timm/mnist_resnet.test_in1k";
  const config = {
    architecture: "mnist_resnet",
    num_classes: 10,
    pretrained_cfg: {
      ...{ input_size: [1, 20, 20], test_input_size: [1, 28, 28], crop_pct: 0.875, test_crop_pct: 0.95 },
      ...{ interpolation: "bicubic", mean: [0.1], std: [0.3], classifier: "fc", license: "mit" },
    },
  };
  const inCache = async (files: Readonly<Record<string, string>>, use: (cache: string) => Promise<void>) => {
    const cache = await mkdtemp(join(tmpdir(), "manabi-timm-"));
    const folder = join(cache, "timm--mnist_resnet.test_in1k");
    try {
      await mkdir(folder);
      const model = initialize(await createModel("mnist_resnet"), 3);
      const state = await Promise.all([...model.stateDict()].map(async ([k, v]) => [k, await v.host()] as const));
      await writeSafetensors(join(folder, "model.safetensors"), new Map(state));
      for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
      await use(cache);
    } finally {
      await rm(cache, { recursive: true });
    }
  };

  test("its config.json tells model, preprocessing, classes and licence", () =>
    inCache({ "config.json": JSON.stringify(config) }, async (cache) => {
      const { model, weights } = await pretrained(name, { cache });
      assert.deepEqual([weights.model, weights.licence, weights.classes], ["mnist_resnet", "mit", [..."0123456789"]]);
      assert.deepEqual(weights.input.transforms, [resize(29, "bicubic"), centerCrop(28), normalize([0.1], [0.3])]);
      const drawn = initialize(await createModel("mnist_resnet"), 3)
        .stateDict()
        .get("fc.weight");
      assert.deepEqual(await model.stateDict().get("fc.weight")?.data(), await drawn?.data());
    }));

  test("a configuration of something else, or of a model that is not there, is refused", async () => {
    const refused = (text: string, error: RegExp) =>
      inCache({ "config.json": text }, (cache) => assert.rejects(pretrained(name, { cache }), error));
    await refused("{", /config\.json: not valid JSON/);
    await refused('{"architecture":"bert"}', /no configuration of an image classifier/);
    await refused(JSON.stringify({ ...config, architecture: "resnet81" }), /unknown model "resnet81"/);
    const area = { ...config, pretrained_cfg: { ...config.pretrained_cfg, interpolation: "area" } };
    await refused(JSON.stringify(area), /interpolation "area"/);
  });
});

describe("a model with weights", () => {
  const weights = {
    name: "cifar_resnet20.test",
    model: "cifar_resnet20",
    options: {},
    classes: ["a", "b", "c"],
  } as unknown as Weights;
  const trained = async () => {
    const model = initialize(await createModel("cifar_resnet20", { numClasses: 3 }), 7);
    return new Map(await Promise.all([...model.stateDict()].map(async ([k, v]) => [k, await v.host()] as const)));
  };
  const key = "layer3.2.conv2.weight";

  test("keeps its head, and is in evaluation mode", async () => {
    const state = await trained();
    const model = await modelWith(weights, state);
    assert.equal(model.training, false);
    for (const name of ["fc.weight", key])
      assert.deepEqual((await model.stateDict().get(name)?.host())?.data, state.get(name)?.data);
  });

  test("has a new head for another number of classes, drawn from the seed, and the rest of the weights", async () => {
    const state = await trained();
    const [one, same, other] = await Promise.all(
      [1, 1, 2].map((seed) => modelWith(weights, state, { numClasses: 4, seed })),
    );
    const head = async (model: typeof one) => (await model.stateDict().get("fc.weight")?.host())?.data;
    assert.deepEqual(one.variables().get("fc.weight")?.shape, [4, 64]);
    assert.deepEqual(await head(one), await head(same));
    assert.notDeepEqual(await head(one), await head(other));
    assert.deepEqual((await one.stateDict().get(key)?.host())?.data, state.get(key)?.data);
    assert.ok(state.has("fc.weight"), "what was loaded is left as it was");
    assert.deepEqual(one.forward(tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32])).shape, [1, 4]);
  });
});
