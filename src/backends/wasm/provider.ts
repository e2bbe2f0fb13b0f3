import { type BackendProvider, once } from "../provider.ts";
import { hasRelaxedSimd } from "./features.ts";
import { wasmBackend } from "./index.ts";

const { open } = once(() => {
  const backend = wasmBackend();
  const simd = hasRelaxedSimd ? "relaxed SIMD" : "SIMD";
  return {
    backend,
    detail: () => `WebAssembly with ${simd}; ${backend.threads === 1 ? "1 thread" : `${backend.threads} threads`}`,
    multipliesBf16: false,
    threads: {
      get count() {
        return backend.threads;
      },
      set: backend.setThreads,
    },
  };
});

export const wasmProvider: BackendProvider = { name: "wasm", expected: true, open };
