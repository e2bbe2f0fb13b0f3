/** Opening a device: what is missing is said with what helps. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { compiled, matrixFeature, matrixUnits, showWorkgroups } from "../../src/backends/webgpu/capabilities.ts";
import { openDevice } from "../../src/backends/webgpu/open.ts";
import { ManabiError, prepareBackend, setBackend } from "../../src/index.ts";
import { cli } from "../cli/cli.ts";
import { preparedWebgpu } from "../support/webgpu.ts";

after(() => setBackend("auto"));

/** A browser's `navigator.gpu` that answers so. */
const gpu = (requestAdapter: () => Promise<unknown>): GPU => ({ requestAdapter }) as unknown as GPU;

test("a backend that was not opened says how to open it", () => {
  assert.throws(() => setBackend("webgpu"), /no device has been opened; await prepareBackend\("webgpu"\)/);
});

test("without an adapter it says what WebGPU needs, and stays unusable", async () => {
  const { works, detail } = await prepareBackend("webgpu", { gpu: gpu(async () => null) });
  assert.equal(works, false);
  assert.match(detail, /finds no adapter.*apt install libvulkan1 mesa-vulkan-drivers.*VK_ICD_FILENAMES/);
  assert.throws(
    () => setBackend("webgpu"),
    (e: Error) => e instanceof ManabiError && e.message.endsWith(detail),
  );
});

test("in a browser the advice is about the browser", async () => {
  const { process } = globalThis;
  Reflect.deleteProperty(globalThis, "process");
  try {
    await assert.rejects(openDevice({ gpu: gpu(async () => null) }), ({ message }: Error) => {
      assert.match(message, /finds no adapter.*hardware acceleration.*wasm/);
      assert.doesNotMatch(message, /apt install|Vulkan|Debian/);
      return true;
    });
  } finally {
    globalThis.process = process;
  }
});

test("refusals of the browser are passed on", async () => {
  await assert.rejects(
    openDevice({ gpu: gpu(() => Promise.reject(new Error("blocked"))) }),
    /WebGPU gave no adapter: blocked/,
  );
  const limits = { maxBufferSize: 1, maxStorageBufferBindingSize: 1 };
  const info = { vendor: "acme", architecture: "x1", description: "" };
  const adapter = { info, limits, features: new Set(), requestDevice: () => Promise.reject(new Error("busy")) };
  await assert.rejects(openDevice({ gpu: gpu(async () => adapter) }), /gave no device on acme, x1: busy/);
});

test("subgroups are asked for where the adapter and WGSL have what they need, and not if they are turned off", async () => {
  const asked = async (language: readonly string[], subgroups?: boolean) => {
    let features: readonly string[] = [];
    const adapter = {
      info: { vendor: "acme", subgroupMinSize: 4, subgroupMaxSize: 64 },
      limits: {},
      features: new Set(["subgroups"]),
      requestDevice({ requiredFeatures }: { requiredFeatures: readonly string[] }) {
        features = requiredFeatures;
        return Promise.reject(new Error("busy"));
      },
    };
    const source = { requestAdapter: async () => adapter, wgslLanguageFeatures: new Set(language) };
    await assert.rejects(openDevice({ gpu: source as unknown as GPU, subgroups }), /busy/);
    return features;
  };
  assert.deepEqual(await asked(["subgroup_id"]), ["subgroups"]);
  assert.deepEqual(await asked([]), []);
  assert.deepEqual(await asked(["subgroup_id"], false), []);
});

test("subgroup matrices are those with sums in f32, of f16 where shaders have that", () => {
  const config = (componentType: string, resultComponentType: string, M: number) => {
    return { componentType, resultComponentType, M, N: 16, K: 8 };
  };
  const subgroupMatrixConfigs = [config("f16", "f16", 4), config("f16", "f32", 8), config("u8", "u32", 8)].concat(
    config("f32", "f32", 16),
  );
  const units = (...features: string[]) =>
    matrixUnits({ features: new Set(features), info: { subgroupMatrixConfigs } } as unknown as GPUAdapter);
  const ofF32 = { component: "f32", m: 16, n: 16, k: 8 };
  assert.deepEqual(units("shader-f16"), []);
  assert.deepEqual(units(matrixFeature), [ofF32]);
  assert.deepEqual(units(matrixFeature, "shader-f16"), [{ component: "f16", m: 8, n: 16, k: 8 }, ofF32]);
});

test("matrices that the device does not compile are left out, those it compiles are kept", async () => {
  const device = {
    pushErrorScope() {},
    popErrorScope: async () => null,
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) => code,
    createComputePipelineAsync: async ({ compute }: { readonly compute: { readonly module: string } }) => {
      if (compute.module.includes("f16")) throw new Error("unknown extension");
    },
  };
  const [f16, f32] = (["f16", "f32"] as const).map((component) => ({ component, m: 8, n: 8, k: 8 }));
  const matrices = await compiled(device as unknown as GPUDevice, [f16, f32], 32);
  assert.deepEqual(matrices, [f32]);
  const workgroups = { shared: 16384, subgroups: { least: 8, most: 32 }, matrices };
  assert.equal(showWorkgroups(workgroups), "subgroups of 8 to 32, matrices f32 8x8x8");
});

test("the doctor opens it and tells whether it works", async () => {
  const missing = await preparedWebgpu();
  const { out } = await cli("doctor", "--json");
  const { backends } = JSON.parse(out) as { backends: { name: string; works: boolean }[] };
  assert.equal(backends.find(({ name }) => name === "webgpu")?.works, missing === false);
});
