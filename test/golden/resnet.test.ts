/** ResNets against torchvision, and the CIFAR ones against a PyTorch reference: keys, logits, gradients. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ResNet, variants } from "../../src/models/resnet.ts";
import type { Precision } from "./cases.ts";
import { readJson } from "./fixture.ts";
import { modelChecks, on } from "./model-checks.ts";

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

const checks = await modelChecks("resnet/values.safetensors");
const made = (name: Name) => ({ name, model: new ResNet(variants[name]) });
const checkLogits = (name: Name, mode: "eval" | "train", size: number, precision: Precision) =>
  checks.logits(made(name), mode, size, precision);
const checkGradients = (name: Name, batch: number, size: number, precision: Precision) =>
  checks.gradients(made(name), batch, size, precision);

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
