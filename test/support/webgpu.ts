import { existsSync } from "node:fs";
import { prepareBackend } from "../../src/backends/select.ts";
import { type WebGpuBackend, type WebGpuOptions, webgpuBackend } from "../../src/backends/webgpu/index.ts";
import { dawnFeatures } from "./dawn-features.ts";

/** The GPU in software that comes with Debian's chromium. */
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** Dawn as the tests have it; null where the package is not installed. */
async function dawn(): Promise<GPU | undefined> {
  if (existsSync(swiftShader)) process.env.VK_ICD_FILENAMES ??= swiftShader;
  const loaded = await import("webgpu").catch(() => null);
  return loaded?.create([`enable-dawn-features=${dawnFeatures}`]);
}

/** The webgpu backend, on a GPU in software where there is one: it is the same everywhere. Null, with a word, without. */
export async function webgpuUnderTest(options?: WebGpuOptions): Promise<WebGpuBackend | null> {
  try {
    return await webgpuBackend({ gpu: await dawn(), ...options });
  } catch (error) {
    console.error(`webgpu is not tested: ${(error as Error).message}`);
    return null;
  }
}

/** Readies the backend for `setBackend("webgpu")`; returns the reason to skip tests, false where it works. */
export async function preparedWebgpu(): Promise<string | false> {
  const { works, detail } = await prepareBackend("webgpu", { gpu: await dawn() });
  return !works && detail;
}
