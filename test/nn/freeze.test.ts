/** Freezing: what it changes, what it leaves, and what the compiled step contains. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crossEntropy, jit, setBackend, type Tensor, tensor, valueAndGrad } from "../../src/index.ts";
import { createModel } from "../../src/models/index.ts";
import {
  allButLast,
  freeze,
  headOf,
  inEvalMode,
  initialize,
  isBelow,
  type Layer,
  type Module,
  stages,
  type Trainable,
  trainable,
} from "../../src/nn/index.ts";
import { layerwiseDecay, noDecay, optimizer, sgd } from "../../src/optim/index.ts";
import { predictLogits } from "../../src/train/index.ts";
import { uniform } from "../support/check-grads.ts";

before(() => setBackend("reference"));
after(() => setBackend("auto"));

const tiny = async (): Promise<Layer> =>
  initialize(await createModel("mnist_resnet", { widths: [3, 4, 5], numClasses: 3 }), 1);
const images = tensor(Float32Array.from(uniform(4 * 64, 5)), { shape: [4, 1, 8, 8] });
const labels = tensor([0, 1, 2, 1], { dtype: "i32" });

const stepOf = (model: Layer, rest: Trainable) => {
  const opt = optimizer(rest, sgd({ lr: 0.1, momentum: 0.9, weightDecay: 0.01 }), { groups: [noDecay] });
  return jit((x: Tensor, y: Tensor) => {
    const [loss, grads] = valueAndGrad(rest, () => crossEntropy(model.forward(x), y));
    opt.update(grads);
    return loss;
  });
};

async function values(model: Module): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  for (const [name, value] of model.stateDict()) out.set(name, (await value.data()).join());
  return out;
}
const modes = (model: Module) => new Map([...model.namedModules()].map(([name, m]) => [name, m.training]));

test("frozen parameters and statistics keep their bits, all others move, evaluation in between changes no mode", async () => {
  const model = await tiny();
  const rest = freeze(model, ["conv1", "bn1", "layer1"]);
  const frozen = (key: string) => ["conv1", "bn1", "layer1"].some((prefix) => isBelow(key, prefix));
  assert.ok([...rest.namedParameters()].every(([name]) => !frozen(name)));
  const before = await values(model);
  const wanted = modes(model);
  for (const [name, training] of wanted) assert.equal(training, !frozen(name), name);
  const step = stepOf(model, rest);
  for (let i = 0; i < 3; i++) {
    await step(images, labels).data();
    await predictLogits(model, images).data();
    assert.deepEqual(modes(model), wanted);
  }
  for (const [name, value] of await values(model)) assert.equal(value === before.get(name), frozen(name), name);
  inEvalMode(model, () => assert.ok([...modes(model).values()].every((training) => !training)));
  freeze(model, []);
  assert.ok([...modes(model).values()].every(Boolean));
});

test("the compiled step computes no gradient of what is frozen", async () => {
  const gradients = (text: string) => text.match(/conv(Weight|Input)Grad/g)?.length ?? 0;
  const program = async (match: (model: Layer) => (key: string) => boolean) => {
    const model = await tiny();
    return stepOf(model, freeze(model, match(model))).describe(images, labels);
  };
  const whole = gradients(await program(() => () => false));
  const late = gradients(await program((model) => allButLast(model, 2)));
  const head = gradients(await program((model) => allButLast(model, 1)));
  assert.ok(whole > late && late > 0, `${whole} ${late}`);
  assert.equal(head, 0);
});

test("a gradient of a frozen module's parameters is the one it has in the whole model", async () => {
  const model = await tiny();
  const loss = () => crossEntropy(model.forward(images), labels);
  model.eval();
  const [, all] = valueAndGrad(model, loss);
  const [, some] = valueAndGrad(trainable(model, ["fc", "layer3"]), loss);
  assert.deepEqual(
    [...some.keys()],
    [...all.keys()].filter((key) => /^(fc|layer3)\./.test(key)),
  );
  for (const [name, grad] of some) assert.deepEqual(await grad.data(), await all.get(name)?.data(), name);
});

test("names that do not exist, and nothing left to train, are errors", async () => {
  const model = await tiny();
  assert.throws(() => freeze(model, ["layer"]), /unknown part of ResNet "layer"; did you mean layer1/);
  assert.throws(() => freeze(model, () => true), /ResNet: no parameter is left to train/);
  assert.throws(() => layerwiseDecay(model, 0), /decay is 0; it is a factor above 0/);
});

test("stages go from the input to the head in every family", async () => {
  const names = async (model: string, options = {}) =>
    stages(await createModel(model, options)).map(({ name }) => name);
  assert.deepEqual(await names("resnet50"), ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]);
  assert.deepEqual(await names("wrn_16_4"), ["conv1", "block1", "block2", "block3", "fc"]);
  assert.deepEqual(await names("vit_ti_16"), [
    "conv_proj",
    ...Array.from({ length: 12 }, (_, i) => `encoder.layers.encoder_layer_${i}`),
    "heads.head",
  ]);
  const vgg = await names("vgg11_bn");
  assert.deepEqual([vgg.length, vgg[0], vgg.at(-1)], [11, "features.0", "classifier.6"]);
  for (const name of ["resnet18", "vgg11_bn", "mobilenet_v2", "efficientnet_b0", "vit_ti_16", "wrn_16_4"]) {
    const model = await createModel(name, { numClasses: 7 });
    const all = [...model.namedParameters()].map(([key]) => key);
    assert.deepEqual(
      stages(model)
        .flatMap(({ parameters }) => parameters)
        .sort(),
      all.sort(),
      name,
    );
    const head = headOf(model);
    const weight = model.variables().get(`${head}.weight`);
    assert.equal(weight?.shape[0], 7, name);
  }
});

test("dropout goes with the module that it is in", async () => {
  const model = await createModel("vgg11", { hidden: 8 });
  freeze(model, allButLast(model, 1));
  const at = modes(model);
  assert.deepEqual([at.get("features.0"), at.get("classifier.2"), at.get("classifier.6")], [false, true, true]);
  freeze(model, ["features", "classifier"].slice(0, 1));
  assert.deepEqual([modes(model).get("features.1"), modes(model).get("classifier.2")], [false, true]);
});

test("rates fall from the head to the stem, biases and norms have no weight decay", async () => {
  const model = await createModel("resnet18");
  const groups = layerwiseDecay(model, 0.5, { unfreezeEvery: 10 });
  const settings = new Map(
    [...model.namedParameters()].map(([name, param]) => [
      name,
      groups.find(({ match }) => typeof match === "function" && match(name, param)),
    ]),
  );
  for (const [name, lrScale, from, weightDecay] of [
    ["fc.weight", 1, 0, undefined],
    ["fc.bias", 1, 0, 0],
    ["layer4.1.conv2.weight", 0.5, 10, undefined],
    ["layer1.0.bn1.weight", 1 / 16, 40, 0],
    ["conv1.weight", 1 / 32, 50, undefined],
    ["bn1.bias", 1 / 32, 50, 0],
  ] as const) {
    const found = settings.get(name);
    assert.deepEqual([found?.lrScale, found?.from, found?.weightDecay], [lrScale, from, weightDecay], name);
  }
});
