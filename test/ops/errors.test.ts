/** Wrong calls throw where they are made, and the error names the operation, the shapes and the rule. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManabiError } from "../../src/core/errors.ts";
import * as m from "../../src/index.ts";

const f32 = (...shape: number[]) => m.zeros(shape);
const i32 = (...shape: number[]) => m.zeros(shape, { dtype: "i32" });

const mistakes: Record<string, readonly (readonly [make: () => unknown, ...named: string[]])[]> = {
  convolution: [
    [() => m.conv2d(f32(8, 1, 28, 28), f32(4, 3, 3, 3)), "conv2d", "3 input channels", "[8,1,28,28]", "[4,3,3,3]"],
    [() => m.conv2d(f32(8, 28, 28), f32(4, 1, 3, 3)), "conv2d", "[n, c, h, w]", "[8,28,28]"],
    [() => m.conv1d(f32(1, 1, 9), f32(1, 3)), "conv1d", "[out, in / groups, kw]", "[1,3]"],
    [() => m.conv2d(f32(1, 4, 9, 9), f32(3, 2, 3, 3), null, { groups: 2 }), "conv2d", "3 output", "2 groups"],
    [() => m.conv2d(f32(1, 4, 9, 9), f32(4, 4, 3, 3), null, { groups: 2 }), "8 input channels in 2 groups"],
    [() => m.conv2d(f32(1, 1, 2, 9), f32(1, 1, 3, 3)), "conv2d", "spans 3", "axis 0", "has 2", "[1,1,2,9]"],
    [() => m.conv2d(f32(1, 1, 9, 9), f32(1, 1, 3, 3), f32(2)), "conv2d", "bias [2]", "[1]"],
    [() => m.conv2d(f32(1, 1, 9, 9), f32(1, 1, 3, 3), null, { stride: [1, 2, 3] }), "stride [1,2,3]", "2 of them"],
    [() => m.conv2d(f32(1, 1, 9, 9), f32(1, 1, 3, 3), null, { stride: 0 }), "stride 0", ">= 1"],
    [() => m.conv2d(f32(1, 1, 9, 9), f32(1, 1, 3, 3), null, { padding: -1 }), "padding -1", ">= 0"],
    [() => m.conv2d(f32(1, 1, 9, 9), f32(1, 1, 3, 3), null, { padding: "full" as "same" }), '"full"', '"valid"'],
    [() => m.convTranspose2d(f32(1, 3, 4, 4), f32(2, 1, 3, 3)), "convTranspose2d", "2 input channels", "[1,3,4,4]"],
    [
      () => m.convTranspose1d(f32(1, 1, 4), f32(1, 1, 3), null, { outputPadding: 1 }),
      "outputPadding [1]",
      "stride [1]",
    ],
    [() => m.convTranspose1d(f32(1, 1, 1), f32(1, 1, 3), null, { padding: 2 }), "padding [2]", "leaves nothing"],
  ],
  normalization: [
    [() => m.batchNorm(f32(3)), "batchNorm", "[n, c, ..]", "[3]"],
    [() => m.batchNorm(f32(1, 3)), "batchNorm", "[1,3]", "one value per channel", "eval()"],
    [() => m.batchNorm(f32(2, 3), { weight: f32(2) }), "batchNorm", "weight [2]", "[3]", "[2,3]"],
    [() => m.layerNorm(f32(2, 3), [4]), "layerNorm", "[2,3]", "[4]"],
    [() => m.layerNorm(f32(2, 3), [3], { bias: f32(2) }), "layerNorm", "bias [2]", "[3]"],
    [() => m.groupNorm(f32(2, 4), 3), "groupNorm", "4 channels", "3 groups"],
    [() => m.instanceNorm(f32(2, 4)), "instanceNorm", "spatial", "[2,4]"],
    [() => m.instanceNorm(f32(2, 4, 1)), "instanceNorm", "one value", "[2,4,1]"],
    [() => f32(2).norm(0, { ord: 0 }), "norm", "positive", "0"],
  ],
  pooling: [
    [() => m.maxPool2d(f32(1, 2, 3), 2), "maxPool2d", "[n, c, h, w]", "[1,2,3]"],
    [() => m.maxPool2d(f32(1, 1, 3, 3), 4), "maxPool2d", "kernel [4,4]", "[1,1,3,3]"],
    [() => m.maxPool2d(f32(1, 1, 9, 9), 2, { padding: 2 }), "padding [2,2]", "half", "[2,2]"],
    [() => m.avgPool1d(f32(1, 1, 9), 2, { divisorOverride: 0 }), "avgPool1d", "divisorOverride"],
    [() => m.adaptiveAvgPool2d(f32(1, 1, 9, 9), [3, 0]), "adaptiveAvgPool2d", "outputSize [3,0]"],
    [() => m.maxUnpool2d(f32(1, 1, 2, 2), i32(1, 1, 2, 3), 2), "maxUnpool2d", "[1,1,2,3]", "[1,1,2,2]"],
    [() => m.maxUnpool2d(f32(1, 1, 2, 2), i32(1, 1, 2, 2), 2, { outputSize: [9, 4] }), "outputSize [9,4]", "[4,4]"],
    [() => m.globalAvgPool(f32(2, 3)), "globalAvgPool", "[2,3]"],
  ],
  resampling: [
    [() => m.interpolate(f32(1, 1, 4), { size: 2, mode: "bilinear" }), "bilinear", "[n, c, h, w]", "[1,1,4]"],
    [() => m.interpolate(f32(1, 1, 4), {}), "interpolate", "size or scaleFactor"],
    [() => m.interpolate(f32(1, 1, 4), { size: 2, scaleFactor: 2 }), "either size or scaleFactor"],
    [() => m.interpolate(f32(1, 1, 4), { scaleFactor: 0.1 }), "scaleFactor 0.1", ">= 1", "[1,1,4]"],
    [() => m.interpolate(f32(1, 1, 4), { size: 2, mode: "area" as "nearest" }), '"area"', "nearest"],
    [() => m.interpolate(f32(1, 1, 4), { size: 2, alignCorners: true }), "alignCorners", "nearest"],
    [() => m.pad(f32(3), [[3, 0]], { mode: "reflect" }), "reflect", "0 to 2", "[3]", "[3, 0]"],
    [
      () =>
        m.pad(
          f32(3),
          [
            [0, 0],
            [0, 0],
          ],
          { mode: "circular" },
        ),
      "pad",
      "2 pairs",
      "[3]",
    ],
    [() => m.pad(f32(3), [[1, 0]], { mode: "mirror" as "reflect" }), '"mirror"', "reflect"],
  ],
  attention: [
    [() => m.scaledDotProductAttention(f32(2, 3), f32(2, 4), f32(2, 4)), "[2,3]", "[2,4]", "same rank and d"],
    [() => m.scaledDotProductAttention(f32(2, 3), f32(4, 3), f32(5, 3)), "value [5,3]", "[4,3]"],
    [
      () => m.scaledDotProductAttention(f32(2, 3), f32(4, 3), f32(4, 3), { mask: f32(7, 2, 4) }),
      "mask [7,2,4]",
      "[2,4]",
    ],
    [() => m.scaledDotProductAttention(f32(2, 3), f32(4, 3), f32(4, 3), { mask: i32(2, 4) }), "bool or float", "i32"],
  ],
  "lookup and joining": [
    [() => m.embedding(f32(2), f32(4, 3)), "embedding", "integers", "f32"],
    [() => m.embedding(i32(2), f32(4)), "embedding", "[rows, d]", "[4]"],
    [() => m.embedding(i32(2), f32(4, 3), { paddingIdx: 4 }), "paddingIdx 4", "[4,3]"],
    [() => m.linear(f32(2, 3), f32(4, 5)), "linear", "[4,5]", "[2,3]"],
    [() => m.linear(f32(2, 5), f32(4, 5), f32(5)), "linear", "bias [5]", "[4]"],
    [() => m.split(f32(5), [2, 2]), "split", "[2,2]", "add up to 5", "[5]"],
    [() => m.split(f32(5), 0), "split", "0"],
    [() => m.chunk(f32(5), 0), "chunk", "0"],
    [() => m.repeat(f32(5), -1, 0), "repeat", "-1"],
    [() => m.roll(f32(5), 0.5, 0), "roll", "0.5"],
    [() => m.tril(f32(5)), "tril", "[.., m, n]", "[5]"],
    [() => m.arange(0, 1, 0), "arange", "no finite range"],
    [() => m.full([2, -1], 0), "full", "[2,-1]", ">= 0"],
  ],
  activations: [
    [() => m.glu(f32(3)), "glu", "[3]", "even"],
    [() => m.prelu(f32(2, 3), f32(2)), "prelu", "[2]", "[2,3]"],
    [() => m.gelu(f32(2), { approximate: "fast" as "tanh" }), "gelu", '"fast"', '"tanh"'],
    [() => m.softmax(f32(2), 1), "axis 1", "rank 1"],
    [() => m.dropout(f32(2), 1.5), "dropout", "0..1", "1.5"],
  ],
};

for (const [group, calls] of Object.entries(mistakes))
  describe(`errors of ${group}`, () => {
    for (const [make, ...named] of calls)
      test(named.join(", "), () => {
        assert.throws(make, (error) => {
          assert.ok(error instanceof ManabiError, String(error));
          for (const part of named) assert.ok(error.message.includes(part), `"${error.message}" lacks "${part}"`);
          return true;
        });
      });
  });
