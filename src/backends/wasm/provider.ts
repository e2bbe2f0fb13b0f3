import { type BackendProvider, once } from "../provider.ts";
import { hasRelaxedSimd } from "./features.ts";
import { wasmBackend, wasmDTypes } from "./index.ts";

const { open } = once(() => {
  const backend = wasmBackend();
  const simd = hasRelaxedSimd ? "relaxed SIMD" : "SIMD";
  const memory = backend.isShared ? "" : " (no shared memory)";
  return {
    backend,
    detail: () => `WebAssembly ${simd}; ${backend.threads} thread${backend.threads === 1 ? "" : "s"}${memory}`,
    multipliesBf16: false,
    threads: {
      get count() {
        return backend.threads;
      },
      set: backend.setThreads,
    },
  };
});

export const wasmProvider: BackendProvider = { name: "wasm", dtypes: wasmDTypes, expected: true, open };
