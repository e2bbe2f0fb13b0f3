/** docs/ops.md is generated from the samples that the conformance tests run: it lists what is tested, no more. */
import { test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { nativeDTypes } from "../../src/backends/native/index.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { wasmDTypes } from "../../src/backends/wasm/index.ts";
import { refusals, webgpuDTypes } from "../../src/backends/webgpu/index.ts";
import type { DType } from "../../src/core/dtype.ts";
import { ShapeError } from "../../src/core/errors.ts";
import type { Node } from "../../src/graph/node.ts";
import { constantLike, input } from "../../src/primitives/leaf.ts";
import { dtypes, type Sample, samples } from "../support/samples.ts";
import { assertSnapshot } from "../support/snapshot.ts";

const backends = [
  { letter: "R", dtypes: reference.dtypes },
  { letter: "N", dtypes: nativeDTypes },
  { letter: "W", dtypes: wasmDTypes },
  { letter: "G", dtypes: webgpuDTypes },
];

/** Outputs and inputs of the first case that takes this dtype. */
function build({ cases }: Sample, dtype: DType): readonly [outputs: readonly Node[], inputs: readonly Node[]] | null {
  for (const [fn, ...points] of cases)
    try {
      const inputs = points.map(({ shape }) => input({ shape, dtype }));
      const made = fn(...inputs);
      return ["prim" in made ? [made] : made, inputs];
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
    }
  return null;
}

/** Orders of the gradients that the tests compare: none where nothing flows, as through floor. */
function orders(sample: Sample): string {
  if (!sample.differentiable) return "–";
  const built = build(sample, "f64");
  if (!built) return "–";
  const [outputs, inputs] = built;
  const cts = outputs.map((out) => constantLike(out, 1));
  return backward(outputs, cts, inputs).some((g) => g !== null) ? "1, 2" : "0";
}

function row(name: string, sample: Sample): string {
  const cells = dtypes.map((dtype) => {
    if (!build(sample, dtype)) return "";
    return backends.flatMap((b) => (b.dtypes.has(dtype) ? [b.letter] : [])).join(" ");
  });
  return `| \`${name}\` | ${[...cells, orders(sample)].join(" | ")} |`;
}

test("the table of operations is up to date", () => {
  const text = [
    "# Operations",
    "",
    "Every primitive, the dtypes it takes and the backends that compute it: R reference, N native, W wasm, G webgpu. The last",
    "column holds the orders of the gradients that are checked, numerically in f64 on the reference backend and against it, in",
    "every float dtype, on the others; 0 says that the gradient is zero everywhere, – that the result has none (integers,",
    "booleans, leaves). All other functions are composed of these and differentiate to any order.",
    "",
    "Generated from `test/support/samples.ts`, which the conformance tests run, by `npm test -- --update ops`.",
    "",
    `| primitive | ${dtypes.join(" | ")} | gradients |`,
    `|---|${dtypes.map(() => "---|").join("")}---|`,
    ...Object.entries(samples).map(([name, sample]) => row(name, sample)),
    "",
    `webgpu refuses ${Object.entries(refusals)
      .map(([dtype, why]) => `${dtype} (${why})`)
      .join(", ")}. Elements of u8 and bool take four bytes on the device, those of f16 and bf16 two.`,
    "A device may take subnormal f32, and so subnormal bf16, for zero: the tests of bf16 leave such values out there. A",
    "compiler of shaders may assume that there is no NaN, which is why NaN is told by its bits where a primitive depends on",
    "it, and comparisons with NaN are those of the device. `attention` and `attentionGrad` take 16-bit operands by way of f32",
    "on every backend. The tests in Chromium leave out what a backend lacks by this table, and nothing else.",
  ];
  assertSnapshot("docs/ops.md", text.join("\n"));
});
