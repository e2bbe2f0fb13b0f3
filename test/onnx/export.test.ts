/** What is exported is read again and gives the same: every primitive, layers with a batch that varies, all models. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type DType, isFloat } from "../../src/core/dtype.ts";
import { ShapeError } from "../../src/core/errors.ts";
import type { Node } from "../../src/graph/node.ts";
import {
  arange,
  avgPool2d,
  concat,
  fromHost,
  Generator,
  interpolate,
  maxPool2d,
  scaledDotProductAttention,
  setBackend,
  Tensor,
  tensor,
} from "../../src/index.ts";
import { createModel, type ModelOptions, models } from "../../src/models/index.ts";
import * as nn from "../../src/nn/index.ts";
import { exportOnnx, loadOnnx } from "../../src/onnx/index.ts";
import { relativeError } from "../golden/fixture.ts";
import { type Differentiable, type Point, uniform } from "../support/check-grads.ts";
import { samples } from "../support/samples.ts";

before(() => setBackend("reference"));

/** A function of tensors as a model. */
class Fn extends nn.Module {
  readonly fn: (...x: Tensor[]) => Tensor | readonly Tensor[];
  constructor(fn: (...x: Tensor[]) => Tensor | readonly Tensor[]) {
    super();
    this.fn = fn;
  }
  forward(...x: Tensor[]): Tensor | readonly Tensor[] {
    return this.fn(...x);
  }
}

const random = (shape: readonly number[], seed = 1): Tensor =>
  tensor(
    Float32Array.from(
      uniform(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    shape,
  );

/** `model` exported, read again and run: its outputs against those of the model. */
async function compare(
  model: nn.Layer | Fn,
  bytes: Uint8Array,
  inputs: readonly Tensor[],
  limit = 1e-6,
): Promise<void> {
  const loaded = loadOnnx(bytes);
  assert.deepEqual(
    loaded.inputs.map(({ dtype }) => dtype),
    inputs.map(({ dtype }) => dtype),
  );
  const forward = model.forward as (...x: Tensor[]) => Tensor | readonly Tensor[];
  const result = nn.inEvalMode(model, () => forward.apply(model, [...inputs]));
  const want = result instanceof Tensor ? [result] : result;
  const got = Object.values(loaded.run(Object.fromEntries(loaded.inputs.map(({ name }, i) => [name, inputs[i]]))));
  assert.equal(got.length, want.length);
  for (const [i, output] of want.entries()) {
    assert.deepEqual([got[i].dtype, [...got[i].shape]], [output.dtype, [...output.shape]]);
    const error = relativeError(await got[i].data(), await output.data());
    assert.ok(error <= limit, `output ${i}: relative error ${error}`);
  }
}

describe("every primitive", () => {
  const unable: Record<string, RegExp> = {
    fold: /fold \(it stands in gradients\)/,
    convWeightGrad: /convWeightGrad \(it stands in gradients\)/,
    attentionGrad: /attentionGrad \(it stands in gradients\)/,
    scan: /scan \(loops over time/,
    pick: /scan \(loops over time/,
    randomBits: /randomBits \(random numbers differ/,
    attention: /attention \(its sums of exponentials are read/,
  };
  const spread = /zeros between elements are not supported/; // they stand in gradients of slices
  const at = (dtype: DType, { shape, values }: Point): Tensor => {
    const numbers = isFloat(dtype) ? values : values.map((v) => (dtype === "bool" ? Number(v > 0) : Math.round(v * 7)));
    return tensor(numbers as number[], { shape, dtype });
  };
  const asModel = (fn: Differentiable): Fn =>
    new Fn((...x) => {
      const made = fn(...x.map(({ node }) => node));
      return ("prim" in made ? [made] : (made as readonly Node[])).map((node) => new Tensor(node));
    });

  for (const [name, { cases }] of Object.entries(samples))
    for (const dtype of ["f32", "f64", "i32", "bool"] as const)
      for (const [i, [fn, ...points]] of cases.entries()) {
        const model = asModel(fn);
        const inputs = points.map((point) => at(dtype, point));
        const fits = () => {
          try {
            model.forward(...inputs);
            return true;
          } catch (error) {
            if (error instanceof ShapeError) return false; // the primitive does not take this dtype
            throw error;
          }
        };
        // Positions are no bool.
        if (!fits() || (name === "iota" && dtype === "bool")) continue;
        test(`${name} ${dtype} ${i}`, async () => {
          const specs = Object.fromEntries(inputs.map((x, k) => [`x${k}`, { shape: x.shape, dtype }]));
          const count = [model.forward(...inputs)].flat().length;
          const outputs = Array.from({ length: count }, (_, k) => `y${k}`);
          const run = () => exportOnnx(model, { inputs: specs, outputs });
          if (Object.hasOwn(unable, name)) assert.throws(run, unable[name]);
          else if (name === "pad" && i === 1) assert.throws(run, spread);
          else await compare(model, run(), inputs);
        });
      }
});

describe("layers, with a batch that varies", () => {
  class Attention extends nn.Module {
    qkv = new nn.Linear(8, 24);
    readonly causal: boolean;
    constructor(causal: boolean) {
      super();
      this.causal = causal;
    }
    forward(x: Tensor): Tensor {
      const [n, t] = x.shape;
      const [q, k, v] = [0, 1, 2].map((i) =>
        this.qkv.forward(x).reshape([n, t, 3, 2, 4]).permute([2, 0, 3, 1, 4]).select(0, i),
      );
      const mask = this.causal ? null : arange(t).ne(1).reshape([1, 1, 1, t]);
      return scaledDotProductAttention(q, k, v, { isCausal: this.causal, mask }).permute([0, 2, 1, 3]).flatten(2);
    }
  }
  const image = [3, 8, 8];
  const layers: Record<string, readonly [nn.Module & { forward(x: Tensor): Tensor }, readonly number[]]> = {
    linear: [new nn.Linear(6, 4), [6]],
    "linear on a sequence": [new nn.Linear(6, 4), [5, 6]],
    conv: [new nn.Conv2d(3, 4, 3, { stride: 2, padding: 1 }), image],
    "grouped, dilated convolution": [new nn.Conv2d(3, 6, 3, { groups: 3, dilation: 2, bias: false }), image],
    "convolution of three axes": [new nn.Conv3d(3, 2, 2), [3, 4, 4, 4]],
    "transposed convolution": [new nn.ConvTranspose2d(3, 2, 3, { stride: 2, padding: 1, outputPadding: 1 }), image],
    "batch norm": [new nn.BatchNorm2d(3), image],
    "batch norm without factors": [new nn.BatchNorm2d(3, { affine: false }), image],
    "instance norm": [new nn.InstanceNorm2d(3), image],
    "group norm": [new nn.GroupNorm(3, 3), image],
    "layer norm": [new nn.LayerNorm([8]), image],
    gelu: [new nn.GELU(), image],
    attention: [new Attention(true), [5, 8]],
    "masked attention": [new Attention(false), [5, 8]],
  };
  const functions: Record<string, readonly [(x: Tensor) => Tensor, readonly number[]]> = {
    "max pool": [(x) => maxPool2d(x, 3, { stride: 2, padding: 1 }), image],
    "max pool beyond the end": [(x) => maxPool2d(x, 3, { stride: 2, ceilMode: true }), image],
    "tiled max pool": [(x) => maxPool2d(x, 2), image],
    "average pool": [(x) => avgPool2d(x, 3, { stride: 2, padding: 1, countIncludePad: false }), image],
    bilinear: [(x) => interpolate(x, { size: [11, 5], mode: "bilinear" }), image],
    nearest: [(x) => interpolate(x, { scaleFactor: 2 }), image],
    softmax: [(x) => x.sub(x.max(-1, { keepDims: true })).exp(), image],
    "repeated along the batch": [(x) => concat([x, random([1, 3]).broadcastTo(x.shape)], 1), [3]],
    "positions in the batch": [(x) => x.add(arange(x.shape[0]).unsqueeze(1)), [3]],
    "batch folded into another axis": [(x) => x.reshape([-1, 4]).sum(1), [3, 8]],
    sorted: [(x) => x.sort(1)[0].argmax(1).cast("f32"), [5]],
    variance: [(x) => x.variance(1).sqrt().mod(0.3), [5]],
  };
  for (const [name, [fn, shape]] of Object.entries(functions)) layers[name] = [new Fn(fn) as never, shape];

  for (const [name, [layer, shape]] of Object.entries(layers))
    test(name, async () => {
      nn.initialize(layer, 3);
      const bytes = exportOnnx(layer, { inputs: { x: { shape: ["n", ...shape] } } });
      const { inputs, outputs } = loadOnnx(bytes);
      assert.equal(inputs[0].shape?.[0], "n");
      assert.match(String(outputs[0].shape?.[0]), /^(\d+\*)?n$/);
      for (const batch of [1, 2, 4]) await compare(layer, bytes, [random([batch, ...shape], batch)], 2e-6);
    });

  test("an embedding, whose input is integers", async () => {
    const layer = nn.initialize(new nn.Embedding(10, 4), 1);
    const bytes = exportOnnx(layer, { inputs: { ids: { shape: ["n", 3], dtype: "i32" } } });
    await compare(layer, bytes, [tensor(new Int32Array([0, 9, 3, 3, 1, 7]), [2, 3])]);
  });
});

describe("models", () => {
  /** Options that make the variants of a family small. */
  const narrow: Readonly<Record<string, ModelOptions>> = {
    resnet: { widths: [4, 6, 8, 10] },
    wideResNet: { widen: 1 },
    vgg: { widths: [4, 4, 6, 6, 6], hidden: 10 },
    mobileNetV2: { width: 0.25 },
    efficientNet: { width: 0.25, depth: 1 },
    vit: { imageSize: 32, patchSize: 8, layers: 2, heads: 3, width: 24, mlpWidth: 32 },
  };
  /** Of those whose patches are cut of the maps of a ResNet. */
  const hybrids: Readonly<Record<string, ModelOptions>> = {
    vit_tiny_r_s16_p8_224: { ...narrow.vit, patchSize: 4 },
    vit_small_r26_s32_224: { ...narrow.vit, patchSize: 1, backbone: [1, 1] },
    vit_base_r50_s16_224: { ...narrow.vit, patchSize: 1, backbone: [1, 1, 1] },
    vit_large_r50_s32_224: { ...narrow.vit, patchSize: 1, backbone: [1] },
  };
  for (const [family, { variants }] of Object.entries(models))
    for (const [name, variant] of Object.entries(variants))
      test(`${name}, narrow`, async () => {
        const options = hybrids[name] ?? narrow[family];
        assert.ok(options, `say how to make ${family} small`);
        const model = nn.initialize(await createModel(name, { ...options, numClasses: 7 }), 2);
        // Statistics that are not those of a new model, and a head that is not 0, as that of a new ViT is.
        for (const [key, v] of model.variables()) {
          if (key.endsWith("running_var")) v.assign(random(v.shape, 9).abs().add(0.5));
          if (v.rank === 2) v.assign(random(v.shape, 8).mul(0.3));
        }
        const shape = variant.input.map((d) => (d >= 224 ? 32 : d));
        const bytes = exportOnnx(model, {
          inputs: { input: { shape: ["batch", ...shape] } },
          outputs: ["logits"],
          metadata: { classes: "a,b" },
        });
        const loaded = loadOnnx(bytes);
        assert.deepEqual(loaded.outputs, [{ name: "logits", dtype: "f32", shape: ["batch", 7] }]);
        assert.deepEqual(loaded.metadata, { classes: "a,b" });
        const keys = [...model.variables().keys()].filter((key) => !key.endsWith("num_batches_tracked"));
        for (const key of keys) assert.ok(loaded.initializers.has(key), `${key} is no initializer`);
        await compare(model, bytes, [random([3, ...shape])], 1e-5);
      });
});

describe("what cannot be exported", () => {
  const specs = { inputs: { x: { shape: ["n", 2] } } };
  const refused = (title: string, fn: (x: Tensor) => Tensor | readonly Tensor[], error: RegExp) =>
    test(title, () => assert.throws(() => exportOnnx(new Fn(fn), specs), error));

  refused("a slice of the batch", (x) => x.slice(0, 0, 1), /a slice along the axis "n"/);
  refused("a size that is no multiple", (x) => concat([x, random([1, 2])], 0), /an axis is 6 for 5 inputs and 8 for 7/);
  refused("a number that depends on it", (x) => x.div(x.shape[0]), /depends on the size of "n"/);
  refused("a constant that does", (x) => x.add(random([x.shape[0], 1])), /a constant depends on the size of "n"/);
  refused("another computation", (x) => (x.shape[0] > 5 ? x.neg() : x.exp().neg()), /computes differently/);
  refused("random numbers", (x) => x.add(new Generator(1).uniform(x.shape)), /randomBits|assigns a variable/);

  test("two sizes that vary; names that clash; foreign variables", () => {
    const twice = { inputs: { x: { shape: ["n", "m"] } } };
    assert.throws(() => exportOnnx(new Fn((x) => x.exp()), twice), /the sizes n, m may vary; one is supported/);
    assert.throws(() => exportOnnx(new Fn((x) => x.exp()), { ...specs, outputs: ["x"] }), /must name each output once/);
    const other = nn.initialize(new nn.Linear(2, 2), 1);
    assert.throws(() => exportOnnx(new Fn((x) => other.forward(x)), specs), /not among its own/);
  });

  test("one value as two outputs, and an input as an output", async () => {
    const model = new Fn((x) => {
      const y = x.exp();
      return [y, y, x, fromHost({ dtype: "f32", shape: [1], data: Float32Array.of(2) })];
    });
    await compare(model, exportOnnx(model, specs), [random([3, 2])]);
  });
});
