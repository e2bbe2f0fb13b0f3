import { existsSync } from "node:fs";
import { prepareBackend } from "../../src/backends/select.ts";
import { type WebGpuBackend, type WebGpuOptions, webgpuBackend } from "../../src/backends/webgpu/index.ts";

/** The GPU in software that comes with Debian's chromium. */
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** The webgpu backend, on a GPU in software where there is one: it is the same everywhere. Null, with a word, without. */
export async function webgpuUnderTest(options?: WebGpuOptions): Promise<WebGpuBackend | null> {
  if (existsSync(swiftShader)) process.env.VK_ICD_FILENAMES ??= swiftShader;
  try {
    return await webgpuBackend(options);
  } catch (error) {
    console.error(`webgpu is not tested: ${(error as Error).message}`);
    return null;
  }
}

/** Readies the backend for `setBackend("webgpu")`; returns the reason to skip tests, false where it works. */
export async function preparedWebgpu(): Promise<string | false> {
  if (existsSync(swiftShader)) process.env.VK_ICD_FILENAMES ??= swiftShader;
  const { works, detail } = await prepareBackend("webgpu");
  return !works && detail;
}
