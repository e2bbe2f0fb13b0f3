import type { Backend } from "../../../src/backends/backend.ts";
import { wasmBackend } from "../../../src/backends/wasm/index.ts";
import { webgpuBackend } from "../../../src/backends/webgpu/index.ts";

/** Every backend that works in this page, but for the reference. */
export async function backendsUnderTest(): Promise<Backend[]> {
  const webgpu = await webgpuBackend().catch((error: Error) => {
    console.warn(`webgpu is not tested: ${error.message}`);
    return null;
  });
  return [wasmBackend(), ...(webgpu ? [webgpu] : [])];
}
