/** Registry, options and summaries; no model gets values here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { relu, type Tensor } from "../../src/index.ts";
import * as efficientNet from "../../src/models/efficientnet.ts";
import { createModel, formatSummary, modelNames, models, summarize } from "../../src/models/index.ts";
import * as mobileNetV2 from "../../src/models/mobilenet-v2.ts";
import * as resnet from "../../src/models/resnet.ts";
import * as vgg from "../../src/models/vgg.ts";
import * as vit from "../../src/models/vit.ts";
import * as wideResNet from "../../src/models/wide-resnet.ts";
import { BatchNorm2d, Conv2d, Dropout, Linear, Module, Sequential } from "../../src/nn/index.ts";

test("the manifest lists the variants of each file", () => {
  const files = { resnet, wideResNet, vgg, mobileNetV2, efficientNet, vit };
  assert.deepEqual(Object.keys(models), Object.keys(files));
  for (const [name, { variants }] of Object.entries(files))
    assert.deepEqual(Object.keys(models[name].variants), Object.keys(variants), name);
});

test("every model takes the input that it was made for", async () => {
  for (const { variants, create } of Object.values(models))
    for (const [name, { input }] of Object.entries(variants)) {
      const model = await create(name, { numClasses: 7 });
      assert.deepEqual(summarize(model, [2, ...input]).output, [2, 7], name);
    }
});

test("unknown models, options and values name what is near", async () => {
  await assert.rejects(createModel("resnet51"), /unknown model "resnet51"; did you mean resnet50/);
  await assert.rejects(
    createModel("resnet18", { numClass: 3 }),
    /option of resnet18 "numClass"; did you mean numClasses/,
  );
  await assert.rejects(createModel("resnet18", { numClasses: "3" }), /numClasses is "3", a string; it takes a number/);
  await assert.rejects(createModel("resnet18", { stem: "cifer" }), /unknown ResNet stem "cifer"; did you mean cifar/);
  await assert.rejects(createModel("resnet18", { numClasses: 1.5 }), /or 0 for no classifier, got 1.5/);
  await assert.rejects(createModel("resnet18", { layers: [1, 2] }), /3 or 4 stages/);
  assert.ok(modelNames().includes("resnet152"));
});

test("impossible sizes are told", async () => {
  await assert.rejects(createModel("wrn_28_10", { depth: 27 }), /depth 27 is not 6 n \+ 4/);
  await assert.rejects(createModel("vit_b_16", { imageSize: 225 }), /225 pixels do not divide into patches of 16/);
  await assert.rejects(createModel("vit_base_r50_s16_224", { imageSize: 232 }), /232 pixels .* into patches of 16/);
  await assert.rejects(createModel("vit_b_16", { backbone: [1] }), /belongs to a hybrid, that is to patchesOf/);
  await assert.rejects(createModel("vit_b_16", { patchesOf: "pixels" }), /unknown ViT patchesOf "pixels"/);
  await assert.rejects(createModel("efficientnet_b0", { padding: "sane" }), /padding "sane"; did you mean same/);
  const model = await createModel("vit_ti_16");
  assert.throws(() => summarize(model, [1, 3, 256, 256]), /images are 256 x 256 and the model is for 224 x 224/);
  assert.deepEqual(summarize(await createModel("resnet18", { numClasses: 0 }), [2, 3, 64, 64]).output, [2, 512]);
});

test("memory is that of the weights and of the values between layers", async () => {
  const { weightBytes, activationBytes } = summarize(await createModel("vgg11"), [1, 3, 64, 64]);
  assert.equal(weightBytes, 4 * 132_863_336);
  // The first convolution's 64 maps of 64 x 64, beside what is pooled of them.
  assert.ok(activationBytes >= 4 * 64 * 64 * 64 && activationBytes < 3 * 4 * 64 * 64 * 64, String(activationBytes));
});

test("parameters and multiply-adds of ResNets are torchvision's", async () => {
  const counts = { resnet18: 1.814, resnet34: 3.664, resnet50: 4.089, resnet101: 7.801, resnet152: 11.514 };
  for (const [name, giga] of Object.entries(counts)) {
    const { flops, parameters, rows } = summarize(await createModel(name), [1, 3, 224, 224]);
    assert.equal(Number((flops / 1e9).toFixed(3)), giga, name);
    assert.equal(
      rows.reduce((n, row) => n + row.parameters, 0),
      parameters,
    );
    assert.equal(
      rows.reduce((n, row) => n + row.flops, 0),
      flops,
    );
  }
});

class Twice extends Module {
  conv = new Conv2d(1, 2, 3, { padding: 1, bias: false });
  inner = new Sequential(new BatchNorm2d(2), new Dropout(0.5));
  fc = new Linear(32, 3);

  forward(x: Tensor): Tensor {
    const y = this.inner.forward(this.inner.forward(relu(this.conv.forward(x))));
    return this.fc.forward(y.flatten(1)).matmul(this.fc.forward(y.flatten(1)).transpose());
  }
}

test("a summary has a row for each module with work of its own, and leaves the model as it was", () => {
  const model = new Twice();
  model.inner.eval();
  const { rows } = summarize(model, [5, 1, 4, 4]);
  assert.deepEqual(
    rows.map(({ name, kind, output, parameters, flops }) => [name, kind, output, parameters, flops]),
    [
      ["", "Twice", [5, 5], 0, 5 * 3 * 5],
      ["conv", "Conv2d", [5, 2, 4, 4], 18, 5 * 2 * 16 * 9],
      ["inner.0", "BatchNorm2d", [5, 2, 4, 4], 4, 0],
      ["inner.1", "Dropout", [5, 2, 4, 4], 0, 0],
      ["fc", "Linear", [5, 3], 99, 2 * 5 * 32 * 3],
    ],
  );
  assert.deepEqual([model.training, model.inner.training, Object.hasOwn(model, "forward")], [true, false, false]);
});

test("a summary as text", () => {
  const text = formatSummary("small", summarize(new resnet.ResNet(resnet.variants.mnist_resnet), [1, 1, 28, 28]));
  const lines = text.split("\n");
  assert.match(lines[0], /^layer +kind +output +parameters +FLOPs$/);
  assert.match(lines[1], /^conv1 +Conv2d +\[1,16,14,14\] +144 +28,224$/);
  assert.match(lines.at(-1) ?? "", /^total +\[1,10\]/);
});
