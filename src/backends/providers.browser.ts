import type { BackendProvider } from "./provider.ts";
import { referenceProvider } from "./reference/provider.ts";
import { wasmProvider } from "./wasm/provider.ts";
import { webgpuProvider } from "./webgpu/provider.ts";

/** The backends of a browser, best first. */
export const providers: readonly BackendProvider[] = [webgpuProvider, wasmProvider, referenceProvider];

/** Where these are. */
export const platform = "a browser";
