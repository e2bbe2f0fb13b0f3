/** Products by subgroup matrices, where the adapter has such and Dawn is told to offer them, against the reference. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { matrixFeature } from "../../src/backends/webgpu/capabilities.ts";
import type { Workgroups } from "../../src/backends/webgpu/wgsl/shader.ts";
import type { DType } from "../../src/core/dtype.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { conv2d, Tensor } from "../../src/index.ts";
import { constantLike } from "../../src/primitives/leaf.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms, type ConformanceCase } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";
import { halves, textsOf, zeros } from "../support/shaders.ts";
import { webgpuUnderTest } from "../support/webgpu.ts";

// As a user opens it: the option turns on the flag.
const backend = await webgpuUnderTest({ gpu: undefined, subgroupMatrices: true });
const units = backend?.device.workgroups.matrices ?? [];
const skip = backend === null ? "no adapter" : units.length === 0 && `${backend.device.name} has no subgroup matrices`;

let seed = 70;
const random = (dtype: DType, ...shape: Shape): Tensor =>
  new Tensor(leaf(dtype, shape, uniform(sizeOf(shape), ++seed)));

/** A product and its gradients. */
function withGradients(name: string, x: Tensor, y: Tensor, product: (x: Tensor, y: Tensor) => Tensor): ConformanceCase {
  const out = product(x, y).node;
  const ct = random(out.dtype, ...out.shape).mul(constant(out)).node;
  const grads = backward([out], [ct], [x.node, y.node]).flatMap((g) => g ?? []);
  return { name, outputs: [out, ...grads] };
}
const constant = (out: Node): Tensor => new Tensor(constantLike(out, 1));

describe("subgroup matrices", { skip }, () => {
  const sizes = [
    [64, 64, 64],
    [17, 20, 33],
    [70, 5, 130],
    [200, 600, 40], // in parts
  ];
  for (const dtype of ["f16", "f32"] as const) {
    test(`products of ${dtype}`, async () => {
      const cases = sizes.map(([m, k, n]) =>
        withGradients(`${m} x ${k} x ${n}`, random(dtype, m, k), random(dtype, k, n), (x, y) => x.matmul(y)),
      );
      const views = withGradients(
        "transposed, in batches",
        random(dtype, 3, 40, 50),
        random(dtype, 1, 60, 40),
        (x, y) => x.transpose(1, 2).matmul(y.transpose(1, 2)),
      );
      if (backend) await assertConforms(backend, [...cases, views]);
    });

    test(`convolutions of ${dtype}`, async () => {
      const conv = (options: Parameters<typeof conv2d>[3]) => (x: Tensor, w: Tensor) => conv2d(x, w, null, options);
      if (backend)
        await assertConforms(backend, [
          withGradients("3 x 3", random(dtype, 2, 20, 9, 9), random(dtype, 36, 20, 3, 3), conv({ padding: 1 })),
          withGradients("strided", random(dtype, 2, 17, 11, 11), random(dtype, 20, 17, 3, 3), conv({ stride: 2 })),
          withGradients("in groups", random(dtype, 2, 40, 7, 7), random(dtype, 40, 20, 3, 3), conv({ groups: 2 })),
        ]);
    });
  }

  test("f16 operands are read where they lie", () => {
    const text = backend
      ?.compile({ inputs: [], outputs: [random("f16", 64, 64).matmul(random("f16", 64, 64)).node], updates: [] })
      .describe();
    assert.match(text ?? "", /= gemm_f32\(data0, data1;/);
  });
});

/** Without a GPU: Dawn computes nothing, but reads shaders as it does for the GPUs that have these matrices. */
test("Dawn accepts the shaders for the matrices of common GPUs", async (t) => {
  const loaded = await import("webgpu").catch(() => null);
  const gpu = loaded?.create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const adapter = await gpu?.requestAdapter();
  const requiredFeatures = ["subgroups", "shader-f16", matrixFeature] as GPUFeatureName[];
  if (!adapter || requiredFeatures.some((feature) => !adapter.features.has(feature)))
    return t.skip("no Dawn, or one that does not know subgroup matrices");
  const device = await adapter.requestDevice({ requiredFeatures });
  const [wide, small] = [16, 8].map((side) => ({ component: "f16" as const, m: side, n: side, k: side }));
  const inF32 = { ...small, component: "f32" as const };
  for (const [unit, most] of [
    [wide, 32],
    [wide, 64],
    [small, 32],
    [{ ...small, k: 16 }, 16],
    [inF32, 32],
  ] as const) {
    const workgroups: Workgroups = { shared: 16384, subgroups: { least: most, most }, matrices: [unit] };
    const inputs = unit.component === "f16" ? halves : (...shapes: number[][]) => shapes.map((s) => zeros(...s));
    const texts = [
      ...textsOf((x, y) => x.matmul(y), inputs([70, 100], [100, 70]), workgroups),
      ...textsOf((x, w) => conv2d(x, w, null), inputs([2, 24, 9, 9], [36, 24, 3, 3]), workgroups),
    ];
    assert.equal(texts.filter((code) => code.includes("subgroupMatrixMultiplyAccumulate")).length, 2);
    for (const code of texts) {
      const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
      assert.deepEqual(
        messages.map(({ type, lineNum, message }) => `${type} in line ${lineNum}: ${message}`),
        [],
      );
    }
  }
});
