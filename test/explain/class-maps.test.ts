/** CAM and Grad-CAM over the model families: which layers they take, that they agree, and what they refuse. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cam, gradCam, gradCamPlusPlus, lastMapLayer, mapLayers } from "../../src/explain/index.ts";
import { concat, relu, type Tensor, tensor } from "../../src/index.ts";
import { EfficientNet } from "../../src/models/efficientnet.ts";
import { MobileNetV2 } from "../../src/models/mobilenet-v2.ts";
import { ResNet } from "../../src/models/resnet.ts";
import { VGG } from "../../src/models/vgg.ts";
import { VisionTransformer } from "../../src/models/vit.ts";
import { WideResNet } from "../../src/models/wide-resnet.ts";
import {
  Conv2d,
  Flatten,
  GlobalAvgPool,
  initialize,
  type Layer,
  Linear,
  Module,
  ReLU,
  Sequential,
} from "../../src/nn/index.ts";
import { relativeError } from "../golden/fixture.ts";
import { generate, images } from "../golden/generated.ts";

const numClasses = 10;
const resnet = () => new ResNet({ block: "basic", layers: [1, 1, 1], widths: [8, 16, 32], stem: "cifar", numClasses });
const vit = (sizes = {}) =>
  new VisionTransformer({
    ...{ numClasses, imageSize: 32, patchSize: 8, layers: 2, heads: 2, width: 16, mlpWidth: 32, ...sizes },
  });
const vgg = () => new VGG({ layers: [1, 1, 1, 1, 1], widths: [4, 4, 8, 8, 8], hidden: 16, numClasses });

describe("CAM and Grad-CAM", () => {
  for (const [precision, limit] of [
    ["f32", 1e-5],
    ["f64", 1e-6],
  ] as const)
    test(`agree on a network with global average pooling, ${precision}`, async () => {
      const [model, x] = [generate(resnet(), precision), images(2, 32, precision)];
      const [first, second] = [await cam(model, x), await gradCam(model, x, { layer: "layer3", relu: false })];
      assert.deepEqual(first.classes, second.classes);
      for (const [i, { data, width, height }] of first.maps.entries()) {
        assert.ok(
          relativeError(
            second.maps[i].data.map((v) => v * width * height),
            data,
          ) < limit,
        );
        assert.ok(data.some((value) => value !== 0));
        // The mean of a class activation map is the logit without its bias.
        const bias = (await model.fc?.bias?.data())?.[first.classes?.[i] ?? -1] ?? Number.NaN;
        const logit = data.reduce((a, b) => a + b, 0) / data.length + Number(bias);
        assert.ok(Math.abs(logit - first.scores[i]) < 1e-4 * Math.abs(logit));
      }
      const positive = await gradCam(model, x, { layer: "layer3" });
      assert.deepEqual(
        positive.maps[0].data,
        second.maps[0].data.map((v) => Math.max(0, v)),
      );
      assert.equal(positive.layer, "layer3");
    });

  const narrow = { numClasses, width: 0.25 };
  for (const [name, model, size, layer] of [
    ["ResNet", resnet(), 32, "layer3"],
    ["Wide ResNet", new WideResNet({ depth: 10, widen: 1 }), 32, "bn1"],
    ["MobileNetV2", new MobileNetV2(narrow), 64, "features"],
    ["EfficientNet", new EfficientNet({ ...narrow, depth: 0.1 }), 64, "features"],
    ["VGG", vgg(), 64, "features"],
    ["ViT", vit(), 32, "encoder.layers.encoder_layer_1.ln_1"],
  ] as const)
    test(`${name}: the last layer with a map is ${layer}`, async () => {
      const x = images(1, size, "f32");
      assert.equal(lastMapLayer(model, x), layer);
      assert.ok(mapLayers(model, x).includes(layer));
      if (name === "VGG" || name === "ViT") await assert.rejects(cam(initialize(model, 1), x), /use gradCam/);
      else assert.equal((await cam(initialize(model, 1), x)).heatmaps[0].data.length, size * size);
    });

  test("a batch in pieces, and a class for each image", async () => {
    const [model, x] = [generate(resnet(), "f32"), images(2, 32, "f32")];
    const both = await gradCam(model, x, { target: [1, 4] });
    const apart = await gradCam(model, x, { target: [1, 4], batchSize: 1 });
    assert.ok(relativeError(apart.heatmaps[1].data, both.heatmaps[1].data) < 1e-5);
    assert.deepEqual(apart.classes, Int32Array.of(1, 4));
    const second = await gradCam(model, x.slice(0, 1, 2), { target: 4 });
    assert.ok(relativeError(second.heatmaps[0].data, both.heatmaps[1].data) < 1e-5);
    assert.ok(Math.abs(second.scores[0] - both.scores[1]) < 1e-5);
  });

  test("any scalar of the scores: a difference of classes has the difference of their maps", async () => {
    const [model, x] = [generate(resnet(), "f64"), images(2, 32, "f64")];
    const map = async (target: number | ((scores: Tensor) => Tensor)) =>
      (await gradCam(model, x, { layer: "layer2", relu: false, target })).maps[1].data;
    const [a, b] = [await map(2), await map(7)];
    const difference = await map((scores) => scores.select(1, 2).sub(scores.select(1, 7)));
    assert.ok(
      relativeError(
        difference,
        a.map((v, p) => v - b[p]),
      ) < 1e-6,
    );
    const explained = await gradCam(model, x, { target: (scores) => scores.max(1) });
    assert.equal(explained.classes, null);
  });

  test("patches of images that are not square, and tokens of another arrangement", async () => {
    class Patches extends Module {
      proj = new Conv2d(3, 8, 8, { stride: 8 });
      mix = new Linear(8, 8);
      fc = new Linear(8, 3);
      readonly prefix: number;
      constructor(prefix: number) {
        super();
        this.prefix = prefix;
      }
      forward(x: Tensor): Tensor {
        const tokens = this.proj.forward(x).flatten(2).transpose(1, 2);
        const prefix = Array.from({ length: this.prefix }, () => tokens.mean(1, { keepDims: true }));
        return this.fc.forward(this.mix.forward(concat([...prefix, tokens], 1)).mean(1));
      }
    }
    const x = images(1, 32, "f32").slice(2, 0, 16);
    const { maps } = await gradCam(initialize(new Patches(1), 1), x, { layer: "mix" });
    assert.deepEqual([maps[0].height, maps[0].width], [2, 4]);
    const three = initialize(new Patches(3), 1);
    await assert.rejects(
      gradCam(three, x, { layer: "mix" }),
      /mix is \[1,11,8\].*layers with one: proj.*option tokens/,
    );
    const told = await gradCam(three, x, { layer: "mix", tokens: { skip: 3, grid: [2, 4] } });
    assert.deepEqual([told.maps[0].height, told.maps[0].width], [2, 4]);
  });

  test("a layer beside a shortcut gets its own gradient alone", async () => {
    class Shortcut extends Module {
      conv = new Conv2d(3, 3, 1);
      act = new ReLU();
      fc = new Linear(3, 2);
      forward(x: Tensor): Tensor {
        const y = this.conv.forward(x);
        return this.fc.forward(this.act.forward(y).add(y.mul(5)).mean([2, 3]));
      }
    }
    const model = initialize(new Shortcut(), 3);
    const x = images(1, 4, "f32");
    const { maps } = await gradCam(model, x, { layer: "act", target: 0, relu: false });
    const a = await relu(model.conv.forward(x)).data();
    const w = await model.fc.weight.data();
    const want = Array.from({ length: 16 }, (_, p) =>
      [0, 1, 2].reduce((sum, c) => sum + (Number(w[c]) / 16) * Number(a[c * 16 + p]), 0),
    );
    assert.ok(relativeError(maps[0].data, want) < 1e-5);
  });
});

describe("modes and forwards", () => {
  test("are as before, whatever happens", async () => {
    const model = generate(resnet(), "f32");
    model.train();
    model.layer1.eval();
    const x = images(1, 32, "f32");
    await gradCam(model, x);
    await assert.rejects(gradCam(model, x, { layer: "fc" }));
    assert.deepEqual(
      [...model.namedModules()].map(([key, m]) => m.training === !key.startsWith("layer1")),
      [...model.namedModules()].map(() => true),
    );
    for (const [key, m] of model.namedModules()) assert.ok(!Object.hasOwn(m, "forward"), key);
  });

  test("a forward that is a field of the module stays", async () => {
    const head = new Linear(4, 2);
    const forward = (x: Tensor) => Linear.prototype.forward.call(head, x).mul(2);
    Object.assign(head, { forward });
    const model = new Sequential(new Conv2d(3, 4, 3), new ReLU(), new GlobalAvgPool(), head);
    const { scores } = await gradCam(initialize(model, 1), images(1, 8, "f32"), { layer: "1", target: 0 });
    assert.equal(head.forward, forward);
    const [expected] = await model.forward(images(1, 8, "f32")).data();
    assert.ok(Math.abs(scores[0] - Number(expected)) < 1e-5);
  });
});

describe("what cannot be mapped", () => {
  const x = images(1, 32, "f32");
  const model = generate(resnet(), "f32");
  const at = (layer: string, m: Layer = model) => gradCam(m, x, { layer });

  test("layers", async () => {
    await assert.rejects(at("layr2"), /unknown layer of ResNet "layr2"; did you mean layer2/);
    await assert.rejects(at("nothing of the kind"), /unknown layer of ResNet.*known: conv1, bn1, layer1, layer1\.0,/);
    await assert.rejects(at("fc"), /the output of fc is \[1,10\], which is no map.*layers with one: .*layer3/);
    const transformer = generate(vit(), "f32");
    await assert.rejects(at("encoder.layers", transformer), /encoder\.layers is not called/);
    await assert.rejects(at("encoder", transformer), /encoder returns a list/);
    await assert.rejects(
      at("encoder.layers.encoder_layer_1", transformer),
      /depends on no token of the image in encoder\.layers\.encoder_layer_1.*such as encoder\.layers\.encoder_layer_1\.ln_1/,
    );
    const act = new ReLU();
    const shared = new Sequential(
      new Conv2d(3, 4, 3),
      act,
      new Conv2d(4, 4, 3),
      act,
      new GlobalAvgPool(),
      new Linear(4, 2),
    );
    await assert.rejects(at("1", initialize(shared, 1)), /1 is called 2 times/);
    const flat = initialize(new Sequential(new Flatten(), new Linear(3 * 32 * 32, 2)), 1);
    await assert.rejects(gradCam(flat, x), /no layer's output is a map.*use saliency/);
  });

  test("images, classes, scores", async () => {
    await assert.rejects(gradCam(model, x.select(0, 0)), /images: a batch \[n, channels, height, width\].*\[3,32,32\]/);
    await assert.rejects(gradCam(model, x, { target: 10 }), /no class 10; the scores have 10 \(0 to 9\)/);
    await assert.rejects(gradCam(model, x, { target: -1 }), /a class is an integer >= 0, got -1/);
    await assert.rejects(gradCam(model, x, { target: [1, 2] }), /2 classes for 1 examples/);
    await assert.rejects(gradCam(model, x, { batchSize: 0 }), /integer number of examples >= 1/);
    await assert.rejects(
      gradCam(model, x, { target: (scores) => scores }),
      /the function returns \[1,10\].*one number for each example, \[1\]/,
    );
    const broken = images(2, 32, "f32").mul(tensor([1, Number.NaN]).reshape([2, 1, 1, 1]));
    for (const batchSize of [1, 2]) await assert.rejects(gradCam(model, broken, { batchSize }), /example 1 is NaN/);
    await assert.rejects(cam(model, broken), /example 1 is NaN/);
  });

  test("nothing at all speaks for a constant image of a network without biases: the map is 0", async () => {
    const dark = new Sequential(
      ...[new Conv2d(1, 4, 3, { bias: false }), new ReLU(), new GlobalAvgPool()],
      new Linear(4, 2, { bias: false }),
    );
    const black = tensor(new Float32Array(64), { shape: [1, 1, 8, 8] });
    for (const method of [gradCam, gradCamPlusPlus, cam]) {
      const { heatmaps } = await method(initialize(dark, 1), black, { target: 0 });
      assert.deepEqual(heatmaps[0].data, new Float32Array(64));
    }
  });
});
