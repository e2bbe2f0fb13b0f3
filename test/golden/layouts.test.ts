/** Checkpoints with the names of timm and transformers: key lists of every variant, logits of a small and a standard one of
 *  each family, and gradients of the hybrid ViT, whose own reference is timm. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { crossEntropy, type HostArray, type Shape, tensor, valueAndGrad } from "../../src/index.ts";
import { type Layout, namesIn } from "../../src/models/layouts/layout.ts";
import type { ModelOptions } from "../../src/models/options.ts";
import { createModel, findModel } from "../../src/models/registry.ts";
import { describeTensors, takeWeights } from "../../src/models/take-weights.ts";
import type { Layer } from "../../src/nn/index.ts";
import { evaluateNow } from "../support/evaluate.ts";
import type { Precision } from "./cases.ts";
import { readJson, readTensors, relativeError } from "./fixture.ts";
import { generatedArray, images, summary } from "./generated.ts";
import { on } from "./model-checks.ts";

type Library = Layout["library"];
interface Keys {
  readonly parameters: number;
  readonly keys: number;
  readonly sha256: string;
}
const references = await readJson<Record<Library, Record<string, Keys>>>("layouts/keys.json");
const values = await readTensors("layouts/values.safetensors");

const stored = (key: string): ArrayLike<number> => values.get(key)?.data ?? assert.fail(`the fixture has no ${key}`);

/** The first of a library's layouts: of transformers the one that its files have. None where its names are ours. */
const layoutOf = async (library: Library, model: string): Promise<Layout | null> =>
  (await findModel(model).family.layouts()).find((layout) => layout.library === library) ?? null;

/** Names and shapes of the tensors in a file of a model, sorted by name. */
function fileShapes(model: Layer, layout: Layout | null): [name: string, shape: Shape][] {
  const own = model.variables();
  const shapes = [...namesIn(layout, own.keys())].flatMap(([key, names]) => {
    const [first = 1, ...rest] = own.get(key)?.shape ?? [];
    const shape = own.get(key)?.rank === 0 ? [] : [first / names.length, ...rest];
    return names.map((name): [string, Shape] => [name, shape]);
  });
  return shapes.sort(([a], [b]) => (a < b ? -1 : 1));
}

for (const library of ["timm", "transformers"] as const)
  for (const [name, { parameters, keys, sha256 }] of Object.entries(references[library]))
    test(`${name} has the names, shapes and number of parameters of ${library}`, async () => {
      const model = await createModel(name);
      const lines = fileShapes(model, await layoutOf(library, name)).map(([key, shape]) => `${key}:[${shape}]\n`);
      assert.equal(model.parameterCount, parameters);
      assert.equal(lines.length, keys);
      assert.equal(createHash("sha256").update(lines.join("")).digest("hex"), sha256, lines.join(""));
    });

const small = { numClasses: 10 };
const vitSmall = { ...small, imageSize: 32, patchSize: 8, layers: 2, heads: 4, width: 64, mlpWidth: 128 };
const hybridSmall = { ...vitSmall, imageSize: 64, patchSize: 1, backbone: [1, 1] };
const mobilenetSmall = { ...small, width: 0.35 };
const efficientnetSmall = { ...small, width: 0.25, depth: 0.5 };
const vggSmall = { ...small, layers: [1, 1, 2, 2, 2], widths: [8, 8, 16, 16, 16], batchNorm: true };
const gains: Record<string, number> = { vgg: 1.3, mobilenet: 1.3, efficientnet: 1.45, tf: 1.45 };

type Case = readonly [model: string, size: number, options?: ModelOptions];
const cases: Record<Library, Record<string, Case>> = {
  timm: {
    resnet_small: ["resnet18", 64, { ...small, layers: [1, 1, 1, 1], widths: [64, 24, 32, 40] }],
    resnet18: ["resnet18", 64],
    vgg_small: ["vgg11", 64, vggSmall],
    vgg11: ["vgg11", 64],
    mobilenet_small: ["mobilenet_v2", 64, mobilenetSmall],
    mobilenet_v2: ["mobilenet_v2", 64],
    efficientnet_small: ["efficientnet_b0", 64, efficientnetSmall],
    efficientnet_b0: ["efficientnet_b0", 64],
    tf_efficientnet_small: ["tf_efficientnet_b0", 75, efficientnetSmall],
    tf_efficientnet_b0: ["tf_efficientnet_b0", 75],
    vit_small: ["vit_b_16", 32, vitSmall],
    vit_b_32: ["vit_b_32", 224],
    hybrid_small: ["vit_small_r26_s32_224", 64, hybridSmall],
    vit_tiny_r_s16_p8_224: ["vit_tiny_r_s16_p8_224", 224],
    vit_base_r50_s16_224: ["vit_base_r50_s16_224", 224],
  },
  transformers: {
    resnet_small: ["resnet18", 64, { ...small, layers: [1, 1, 1, 1], widths: [16, 24, 32, 40] }],
    resnet50: ["resnet50", 64],
    mobilenet_small: ["mobilenet_v2", 75, mobilenetSmall],
    mobilenet_v2: ["mobilenet_v2", 64],
    efficientnet_small: ["efficientnet_b0", 120, { ...efficientnetSmall, width: 0.5 }],
    efficientnet_b0: ["efficientnet_b0", 64],
    vit_small: ["vit_b_16", 32, vitSmall],
    vit_b_32: ["vit_b_32", 224],
  },
};

/** A model with a generated file of a library, taken as any file is. */
async function modelWithFile(library: Library, name: string, precision: Precision): Promise<Layer> {
  const [modelName, , options = {}] = cases[library][name];
  const gain = gains[name.split(/[_\d]/)[0]];
  const bare = await createModel(modelName, options);
  const shapes = fileShapes(bare, await layoutOf(library, modelName)).map(([key, shape]): [string, Shape] => {
    // timm's VGG has convolutions in the place of its hidden layers.
    const [side] = /^pre_logits\.fc\d\.weight$/.test(key) ? [key.includes("fc1") ? 7 : 1] : [0];
    return [key, side ? [shape[0], shape[1] / side ** 2, side, side] : shape];
  });
  const file = new Map<string, HostArray>();
  for (const [t, [key, shape]] of shapes.entries()) file.set(key, generatedArray(t, key, shape, precision, gain));
  const { options: facts } = await describeTensors(modelName, new Map(shapes));
  const model = await createModel(modelName, { ...facts, ...options });
  if (precision === "f64") model.to("f64");
  return (await takeWeights(modelName, model, file)).eval();
}

async function checkLogits(library: Library, name: string, precision: Precision): Promise<void> {
  const [, size] = cases[library][name];
  const model = await modelWithFile(library, name, precision);
  const [logits] = evaluateNow([model.forward(images(2, size, precision)).node]);
  const error = relativeError(logits, stored(`${library}/${name}/${size}`));
  assert.ok(error <= (precision === "f64" ? 1e-10 : 1e-4), `relative error ${error.toExponential(2)}`);
}

on("native", () => {
  for (const library of ["timm", "transformers"] as const)
    for (const name of Object.keys(cases[library])) {
      test(`${library}: ${name} logits`, () => checkLogits(library, name, "f32"));
      if (name.includes("small")) test(`${library}: ${name} logits, f64`, () => checkLogits(library, name, "f64"));
    }

  for (const precision of ["f32", "f64"] as const)
    test(`gradients of the hybrid, ${precision}`, async () => {
      const model = await modelWithFile("timm", "hybrid_small", precision);
      const x = images(4, 64, precision);
      const labels = tensor(Int32Array.from({ length: 4 }, (_, n) => (7 * n) % 10));
      const [loss, gradients] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), labels));
      const [lossValue, ...found] = evaluateNow([loss, ...gradients.values()].map((t) => t.node));
      const tolerance = precision === "f64" ? 1e-10 : 1e-4;
      assert.ok(relativeError(lossValue, stored("timm/hybrid_small/loss")) <= tolerance);
      const names = namesIn(await layoutOf("timm", "vit_small_r26_s32_224"), gradients.keys());
      const sorted = [...names.values()].map(([name]) => name).sort();
      const want = stored("timm/hybrid_small/grads");
      assert.equal(want.length, 2 * sorted.length);
      [...gradients.keys()].forEach((key, i) => {
        const row = 2 * sorted.indexOf(names.get(key)?.[0] ?? "");
        const { norm, along, direction } = summary(found[i]);
        const error = Math.max(Math.abs(norm - want[row]), Math.abs(along - want[row + 1]) / direction) / want[row];
        assert.ok(error <= 10 * tolerance, `gradient by ${key}: relative error ${error.toExponential(2)}`);
      });
    });
});
