import type { BackendProvider } from "../provider.ts";
import { hasRelaxedSimd } from "./features.ts";
import { wasmBackend } from "./index.ts";

export const wasmProvider: BackendProvider = {
  name: "wasm",
  expected: true,
  open() {
    const backend = wasmBackend();
    return {
      backend,
      detail: () => {
        const { threads } = backend;
        const simd = hasRelaxedSimd ? "relaxed SIMD" : "SIMD";
        return `WebAssembly with ${simd}; ${threads === 1 ? "1 thread" : `${threads} threads`}`;
      },
      multipliesBf16: false,
      threads: {
        get count() {
          return backend.threads;
        },
        set: backend.setThreads,
      },
    };
  },
};
