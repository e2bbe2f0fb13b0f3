/** Image models against torchvision, and wide ResNets against a PyTorch reference: keys, logits, gradients. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fromHost } from "../../src/index.ts";
import { createModel } from "../../src/models/index.ts";
import { resizePositions } from "../../src/models/positions.ts";
import { evaluateNow } from "../support/evaluate.ts";
import type { Precision } from "./cases.ts";
import { readJson, relativeError } from "./fixture.ts";
import { signed } from "./generated.ts";
import { modelChecks, on } from "./model-checks.ts";
import { gains, referenceModel } from "./reference-models.ts";

interface Keys {
  readonly parameters: number;
  readonly keys: number;
  readonly sha256: string;
}
const references = await readJson<Record<string, Keys>>("models/keys.json");

for (const [name, { parameters, keys, sha256 }] of Object.entries(references))
  test(`${name} has the keys, shapes and number of parameters of the reference`, async () => {
    const model = await createModel(name);
    const lines = [...model.variables()].map(([key, { shape }]) => `${key}:[${shape}]\n`);
    assert.equal(model.parameterCount, parameters);
    assert.equal(lines.length, keys);
    assert.equal(createHash("sha256").update(lines.join("")).digest("hex"), sha256, lines.join(""));
  });

const checks = await modelChecks("models/values.safetensors");
const made = async (name: string) => ({
  name,
  model: await referenceModel(name),
  gain: gains[name],
});
const logits = (name: string, mode: "eval" | "train", size: number, precision: Precision = "f32") =>
  test(`${name} logits, ${mode}, ${precision}`, async () => checks.logits(await made(name), mode, size, precision));
const gradients = (name: string, size: number, precision: Precision = "f64") =>
  test(`${name} gradients, ${precision}`, async () => checks.gradients(await made(name), 4, size, precision, 1e-3));

on("native", () => {
  logits("wide_resnet50_2", "eval", 64);
  logits("wrn_16_4", "eval", 32);
  logits("wrn_16_4", "train", 32);
  logits("vgg11", "eval", 64);
  logits("vgg_small", "train", 64);
  logits("mobilenet_v2", "eval", 64);
  logits("mobilenet_v2", "train", 64);
  logits("efficientnet_b0", "eval", 64);
  logits("efficientnet_b0", "train", 64);
  logits("vit_b_32", "eval", 224);
  for (const [name, size] of [
    ["wrn_small", 32],
    ["vgg_small", 64],
    ["mobilenet_small", 64],
    ["efficientnet_small", 64],
    ["vit_small", 32],
    ["vit_small_mlp", 32],
  ] as const) {
    logits(name, "eval", size);
    logits(name, "eval", size, "f64");
    gradients(name, size);
  }
  // By elements, f32 is too coarse for the rest; gradient-norms.test.ts has the norms.
  gradients("wrn_small", 32, "f32");
  gradients("vit_small", 32, "f32");
  gradients("mobilenet_v2", 64);
  gradients("efficientnet_b0", 64);
});

on("reference", () => {
  logits("vit_small", "eval", 32, "f64");
  logits("efficientnet_small", "eval", 64, "f64");
});

test("positions are resized as torchvision does", () => {
  for (const [from, to] of [
    [4, 7],
    [7, 4],
    [14, 24],
  ]) {
    const tokens = from * from + 1;
    const data = Float64Array.from({ length: tokens * 8 }, (_, j) => signed(0, j));
    const resized = resizePositions(fromHost({ shape: [1, tokens, 8], dtype: "f64", data }), to);
    assert.deepEqual(resized.shape, [1, to * to + 1, 8]);
    const error = relativeError(evaluateNow([resized.node])[0], checks.stored(`positions/${from}-${to}`));
    assert.ok(error < 1e-10, `${from} to ${to}: ${error}`);
  }
});
