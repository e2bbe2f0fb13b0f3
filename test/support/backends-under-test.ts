import type { Backend } from "../../src/backends/backend.ts";
import { nativeBackend } from "../../src/backends/native/index.ts";
import { wasmBackend } from "../../src/backends/wasm/index.ts";
import { webgpuUnderTest } from "./webgpu.ts";

/** Every backend that works on this machine, but for the reference. */
export async function backendsUnderTest(): Promise<Backend[]> {
  const native = nativeBackend();
  const webgpu = await webgpuUnderTest();
  return [...(native ? [native] : []), wasmBackend(), ...(webgpu ? [webgpu] : [])];
}
