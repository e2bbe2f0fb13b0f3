import type { DType } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { type Graph, reachable } from "../../graph/node.ts";
import type { Backend } from "../backend.ts";
import { type EngineOptions, makeEngine } from "./engine.ts";
import { hasRelaxedSimd } from "./features.ts";
import { compile } from "./program.ts";

/** What the wasm backend computes in. */
export const wasmDTypes: ReadonlySet<DType> = new Set(["f32", "f64", "i32", "u32", "u8", "bool"]);

export interface WasmBackend extends Backend {
  /** Threads that take part in large operations. */
  readonly threads: number;
  /** Whether multiply-adds round once (relaxed SIMD). */
  readonly hasRelaxedSimd: boolean;
  /** Whether its memory is shared among threads. */
  readonly isShared: boolean;
  /** Sets the number of threads, 0 for one per processor; returns it. */
  setThreads(count: number): number;
  /** Workers that have started and wait for work. */
  readonly readyWorkers: number;
  /** Bytes of memory in use. */
  readonly usedBytes: number;
  /** Functions that have been compiled. */
  readonly functionCount: number;
  /** Ends its worker threads. */
  close(): void;
}

/** Compiles programs to WebAssembly with SIMD and runs them on the threads of the host. */
export function wasmBackend(options: EngineOptions = {}): WasmBackend {
  const engine = makeEngine(options);
  const { memory, threads } = engine;
  return {
    name: "wasm",
    key: `wasm ${hasRelaxedSimd ? "relaxed" : "plain"}`,
    dtypes: wasmDTypes,
    hasRelaxedSimd,
    isShared: memory.isShared,
    get threads() {
      return threads.count;
    },
    get readyWorkers() {
      return threads.ready;
    },
    get functionCount() {
      return engine.functions.list.length;
    },
    get usedBytes() {
      return memory.used;
    },
    setThreads: (count) => threads.setCount(count),
    close: () => threads.stop(),
    copy: (values) => memory.copy(values),
    compile(graph) {
      refuseOthers(graph);
      return compile(graph, engine);
    },
  };
}

function refuseOthers({ inputs, outputs }: Graph): void {
  for (const { dtype, prim } of reachable([...inputs, ...outputs]))
    if (!wasmDTypes.has(dtype))
      throw new ManabiError(
        `wasm: ${prim.name} is ${dtype}, which this backend does not compute in; cast to f32, or use the native or reference backend`,
      );
}
