/** Fused attention against the formula, and on every backend against the reference: sizes around blocks, masks, views. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reference } from "../../src/backends/reference/index.ts";
import type { DType } from "../../src/core/dtype.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import { vjp } from "../../src/index.ts";
import { type AttentionOptions, attentionWeights, scaledDotProductAttention } from "../../src/ops/attention.ts";
import { Tensor } from "../../src/ops/tensor.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms, backendsUnderTest, type ConformanceCase, lacks } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";

let seed = 100;
const random = (shape: Shape, dtype: DType) => new Tensor(leaf(dtype, shape, uniform(sizeOf(shape), ++seed)));
const randomMask = (shape: Shape) =>
  new Tensor(
    leaf(
      "bool",
      shape,
      uniform(sizeOf(shape), ++seed).map((v) => Number(v > -0.3)),
    ),
  );

type Attend = (q: Tensor, k: Tensor, v: Tensor, ...mask: Tensor[]) => Tensor;
const fused =
  (options: AttentionOptions = {}): Attend =>
  (q, k, v, mask) =>
    scaledDotProductAttention(q, k, v, { ...options, mask: mask ?? options.mask });
const formula =
  (options: AttentionOptions = {}): Attend =>
  (q, k, v, mask) =>
    attentionWeights(q, k, { ...options, mask: mask ?? options.mask }).matmul(v);

/** The output and its pullback at a fixed cotangent. */
function withGradients(fn: Attend, operands: readonly Tensor[], ct: Tensor): Tensor[] {
  const [out, pull] = vjp(fn as (...x: Tensor[]) => Tensor, ...operands);
  return [out, ...pull(ct)];
}

/** The gradients of the gradients. */
function second(fn: Attend, operands: readonly Tensor[], ct: Tensor): Tensor[] {
  const first = (...x: Tensor[]) =>
    withGradients(fn, x.slice(0, -1), x[x.length - 1])
      .slice(1)
      .map((g) => g.sin().sum())
      .reduce((a, b) => a.add(b));
  const [, pull] = vjp(first, ...operands, ct);
  return pull(new Tensor(leaf(ct.dtype, [], [1])));
}

const sizes: readonly (readonly [tq: number, tk: number, d: number, dv: number])[] = [
  [1, 1, 1, 1],
  [1, 7, 3, 5],
  [48, 96, 64, 64],
  [49, 97, 20, 33],
  [100, 196, 128, 7],
  [145, 60, 17, 128],
];

/** Those that a GPU in software is through with in seconds. */
const fewSizes: typeof sizes = [
  [1, 1, 1, 1],
  [3, 35, 33, 24],
  [17, 5, 9, 128],
];

function plainCases(dtype: DType, sizes: typeof fewSizes): ConformanceCase[] {
  return sizes.flatMap(([tq, tk, d, dv]) =>
    [false, true].flatMap((isCausal): ConformanceCase[] => {
      const [q, k, v, ct] = [
        random([2, tq, d], dtype),
        random([2, tk, d], dtype),
        random([2, tk, dv], dtype),
        random([2, tq, dv], dtype),
      ];
      const results = withGradients(fused({ isCausal }), [q, k, v], ct);
      return [
        {
          name: `${[tq, tk, d, dv]}${isCausal ? " causal" : ""} ${dtype}`,
          outputs: results.map((t) => t.node),
          scale: 1,
        },
      ];
    }),
  );
}

function specialCases(dtype: DType, [b, h, t, d]: readonly number[]): ConformanceCase[] {
  const packed = random([b, t, 3 * h * d], dtype);
  const ct = random([b, t, h * d], dtype);
  const split = (x: Tensor) => {
    const heads = x.reshape([b, t, 3, h, d]).permute([2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => heads.select(0, i));
    return fused({ isCausal: true })(q, k, v)
      .permute([0, 2, 1, 3])
      .reshape([b, t, h * d]);
  };
  const [out, pull] = vjp(split, packed);
  const [q, k, v] = [random([b, h, t, d], dtype), random([b, 1, 99, d], dtype), random([h, 99, 5], dtype).unsqueeze(0)];
  const own = random([b, h, t, 5], dtype);
  const hidden = randomMask([b, 1, t, 99]);
  return [
    { name: `views of one projection ${dtype}`, outputs: [out, ...pull(ct)].map((x) => x.node), scale: 1 },
    {
      name: `bool mask, shared keys ${dtype}`,
      outputs: withGradients(fused({ mask: hidden }), [q, k, v], own).map((x) => x.node),
      scale: 1,
    },
    {
      name: `float mask with a gradient ${dtype}`,
      outputs: withGradients(fused(), [q, k, v, random([t, 99], dtype)], own).map((x) => x.node),
      scale: 1,
    },
    {
      name: `nothing is seen ${dtype}`,
      outputs: withGradients(fused({ mask: randomMask([1, 1]).and(randomMask([1, 1]).not()) }), [q, k, v], own).map(
        (x) => x.node,
      ),
      scale: 1,
    },
    {
      name: `first columns of wider rows ${dtype}`,
      outputs: [fused()(q.slice(3, 0, 9), k.slice(3, 2, 11), v).node],
      scale: 1,
    },
    {
      name: `columns first ${dtype}`,
      outputs: [fused()(q.transpose(2, 3), random([b, h, 77, t], dtype), random([b, h, 77, 8], dtype)).node],
      scale: 1,
    },
  ];
}

for (const backend of await backendsUnderTest())
  describe(`attention, ${backend.name}`, () => {
    const small = backend.name === "webgpu";
    for (const dtype of ["f32", "f64"] as const) {
      test(`sizes, ${dtype}`, { skip: lacks(backend, dtype) }, () =>
        assertConforms(backend, plainCases(dtype, small ? fewSizes : sizes)),
      );
      test(`masks and views, ${dtype}`, { skip: lacks(backend, dtype) }, () =>
        assertConforms(backend, specialCases(dtype, small ? [1, 2, 20, 16] : [2, 3, 50, 16])),
      );
    }
  });

describe("attention is its formula", () => {
  const [q, k, v] = [random([2, 5, 3], "f64"), random([2, 6, 3], "f64"), random([2, 6, 4], "f64")];
  const ct = random([2, 5, 4], "f64");
  const bias = random([5, 6], "f64");
  const hides = randomMask([5, 6]);
  for (const [name, options, operands] of [
    ["plain", {}, [q, k, v]],
    ["causal", { isCausal: true, scale: 0.3 }, [q, k, v]],
    ["bool mask", { mask: hides }, [q, k, v]],
    ["float mask", {}, [q, k, v, bias]],
  ] as const)
    for (const [order, of] of [
      [1, withGradients],
      [2, second],
    ] as const)
      test(`${name}, order ${order}`, () => {
        const [got, want] = [fused(options), formula(options)].map((fn) => of(fn, operands, ct).map((t) => t.node));
        const values = reference.compile({ inputs: [], outputs: [...got, ...want], updates: [] }).run([]);
        got.forEach((_, i) => {
          values[i].forEach((x, j) => {
            assert.ok(
              Math.abs(x - values[got.length + i][j]) < 1e-11,
              `output ${i} [${j}]: ${x}, ${values[got.length + i][j]}`,
            );
          });
        });
      });
});
