/** ResNets against torchvision, and the CIFAR ones against a PyTorch reference: keys, logits, gradients. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { BackendName } from "../../src/backends/provider.ts";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { crossEntropy, tensor, valueAndGrad } from "../../src/index.ts";
import { ResNet, variants } from "../../src/models/resnet.ts";
import { evaluateNow } from "../support/evaluate.ts";
import type { Precision } from "./cases.ts";
import { readJson, readTensors, relativeError } from "./fixture.ts";
import { generate, images, summary } from "./generated.ts";

type Name = "resnet18" | "resnet34" | "resnet50" | "resnet101" | "resnet152" | `cifar_resnet${20 | 56 | 110}`;
const names: readonly Name[] = [
  "resnet18",
  "resnet34",
  "resnet50",
  "resnet101",
  "resnet152",
  "cifar_resnet20",
  "cifar_resnet56",
  "cifar_resnet110",
];

for (const name of names)
  test(`${name} has the keys, shapes and number of parameters of the reference`, async () => {
    const want = await readJson<{ parameters: number; shapes: Record<string, number[]> }>(`resnet/${name}.json`);
    const model = new ResNet(variants[name]);
    const shapes = [...model.variables()].map(([key, { shape }]) => [key, [...shape]]);
    assert.deepEqual(shapes, Object.entries(want.shapes));
    assert.equal(model.parameterCount, want.parameters);
  });

const fixture = await readTensors("resnet/values.safetensors");
const stored = (key: string) => {
  const found = fixture.get(key);
  assert.ok(found, `the fixture has no ${key}`);
  return found.data;
};
/** Relative; activations pass through up to 161 layers. */
const tolerance = { f32: 1e-4, f64: 1e-10 };

function checkLogits(name: Name, mode: "eval" | "train", size: number, precision: Precision): void {
  const model = generate(new ResNet(variants[name]), precision).train(mode === "train");
  const [logits] = evaluateNow([model.forward(images(2, size, precision)).node]);
  const error = relativeError(logits, stored(`${name}/${mode}${size}`));
  assert.ok(error <= tolerance[precision], `relative error ${error.toExponential(2)}`);
}

/** Loss and the gradient by every parameter of one batch in train mode. */
function checkGradients(name: Name, batch: number, size: number, precision: Precision): void {
  const model = generate(new ResNet(variants[name]), precision).train();
  const x = images(batch, size, precision);
  const classes = model.config.numClasses;
  const labels = tensor(Int32Array.from({ length: batch }, (_, n) => (7 * n) % classes));
  const [loss, gradients] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), labels));
  const [lossValue, ...values] = evaluateNow([loss, ...gradients.values()].map((t) => t.node));

  const limit = tolerance[precision];
  const lossError = relativeError(lossValue, stored(`${name}/loss`));
  assert.ok(lossError <= limit, `loss: relative error ${lossError.toExponential(2)}`);
  const want = stored(`${name}/grads`);
  assert.equal(values.length, want.length / 2, "number of gradients");
  [...gradients.keys()].forEach((key, i) => {
    const { norm, along, direction } = summary(values[i]);
    const errors = [Math.abs(norm - want[2 * i]), Math.abs(along - want[2 * i + 1]) / direction];
    const error = Math.max(...errors) / want[2 * i];
    assert.ok(error <= limit, `gradient by ${key}: relative error ${error.toExponential(2)}`);
  });
}

function on(backend: BackendName, tests: () => void): void {
  const skip = !backendStatus().find(({ name }) => name === backend)?.works;
  describe(backend, { skip }, () => {
    before(() => setBackend(backend));
    tests();
  });
}

on("native", () => {
  test("resnet18 logits, eval", () => checkLogits("resnet18", "eval", 64, "f32"));
  test("resnet18 logits, train", () => checkLogits("resnet18", "train", 64, "f32"));
  test("resnet18 logits, 224 x 224", () => checkLogits("resnet18", "eval", 224, "f32"));
  test("resnet18 logits, f64", () => checkLogits("resnet18", "eval", 64, "f64"));
  test("resnet18 gradients", () => checkGradients("resnet18", 2, 64, "f32"));
  test("resnet50 logits, eval", () => checkLogits("resnet50", "eval", 64, "f32"));
  test("resnet56 for CIFAR logits, eval", () => checkLogits("cifar_resnet56", "eval", 32, "f32"));
  test("resnet20 for CIFAR logits, train", () => checkLogits("cifar_resnet20", "train", 32, "f32"));
  test("resnet20 for CIFAR gradients", () => checkGradients("cifar_resnet20", 4, 32, "f32"));
  test("resnet20 for CIFAR gradients, f64", () => checkGradients("cifar_resnet20", 4, 32, "f64"));
});

on("reference", () => {
  test("resnet20 for CIFAR logits, eval", () => checkLogits("cifar_resnet20", "eval", 32, "f64"));
  test("resnet20 for CIFAR logits, train", () => checkLogits("cifar_resnet20", "train", 32, "f64"));
  test("resnet20 for CIFAR gradients", () => checkGradients("cifar_resnet20", 4, 32, "f64"));
});
