import { nativeProvider } from "./native/provider.ts";
import type { BackendProvider } from "./provider.ts";
import { referenceProvider } from "./reference/provider.ts";
import { wasmProvider } from "./wasm/provider.ts";
import { webgpuProvider } from "./webgpu/provider.ts";

/** The backends of Node, best first. */
export const providers: readonly BackendProvider[] = [nativeProvider, wasmProvider, webgpuProvider, referenceProvider];

/** Where these are. */
export const platform = "Node";
