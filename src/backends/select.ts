import type { DType } from "../core/dtype.ts";
import { ManabiError, unknownName } from "../core/errors.ts";
import type { Backend } from "./backend.ts";
import { nativeBackend, nativeDTypes } from "./native/index.ts";
import { onCompile, setTarget } from "./native/toolchain.ts";
import { reference } from "./reference/index.ts";
import { type WasmBackend, wasmBackend, wasmDTypes } from "./wasm/index.ts";

export { onCompile };

export type BackendName = "reference" | "native" | "wasm";

/** Why a backend does or does not work here. */
export interface BackendStatus {
  readonly name: BackendName;
  readonly works: boolean;
  readonly detail: string;
  /** Whether matrix precision `medium` multiplies bf16 there; it is f32 where not. */
  readonly multipliesBf16: boolean;
  /** What it computes in. */
  readonly dtypes: ReadonlySet<DType>;
}

let native: ReturnType<typeof nativeBackend> | Error | undefined;
let wasm: WasmBackend | Error | undefined;
let active: Backend | null = null;
/** The number of threads that was asked for, 0 for every CPU. */
let wantedThreads = 0;

/** The native backend, made once: null without a compiler, an error if the compiler or the loader failed. */
function loadNative(): ReturnType<typeof nativeBackend> | Error {
  if (native === undefined)
    try {
      native = nativeBackend();
    } catch (error) {
      native = error as Error;
    }
  return native;
}

/** The wasm backend, made once: an error where the engine lacks what it needs. */
function loadWasm(): WasmBackend | Error {
  if (wasm === undefined)
    try {
      wasm = wasmBackend();
      wasm.setThreads(wantedThreads);
    } catch (error) {
      wasm = error as Error;
    }
  return wasm;
}

const cure =
  "install one (Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: xcode-select --install) for native speed";

/** Whether each backend works on this machine, and why not. */
export function backendStatus(): BackendStatus[] {
  const loaded = loadNative();
  const detail =
    loaded === null
      ? `no C compiler found (cc, gcc, clang); ${cure}`
      : loaded instanceof Error
        ? loaded.message
        : `${loaded.toolchain.version}; ${loaded.runtime.threads} threads; medium precision is ${loaded.hasBf16 ? "bf16" : "f32 (no bf16 products)"}`;
  const works = loaded !== null && !(loaded instanceof Error);
  return [
    { name: "native", works, detail, multipliesBf16: works && loaded.hasBf16, dtypes: nativeDTypes },
    wasmStatus(),
    {
      name: "reference",
      works: true,
      detail: "plain TypeScript, one thread",
      multipliesBf16: false,
      dtypes: reference.dtypes,
    },
  ];
}

function wasmStatus(): BackendStatus {
  const loaded = loadWasm();
  const works = !(loaded instanceof Error);
  const memory = works && !loaded.isShared ? " (no shared memory)" : "";
  const detail = works
    ? `WebAssembly ${loaded.hasRelaxedSimd ? "relaxed SIMD" : "SIMD"}; ${loaded.threads} thread${loaded.threads === 1 ? "" : "s"}${memory}`
    : loaded.message;
  return { name: "wasm", works, detail, multipliesBf16: false, dtypes: wasmDTypes };
}

/** The backend in use: the one set, else native where it works, else wasm or reference with a word about why. */
export function backend(): Backend {
  if (active) return active;
  const loaded = loadNative();
  if (loaded && !(loaded instanceof Error)) active = loaded;
  else {
    const why = loaded ? `the native backend failed: ${loaded.message}` : "no C compiler found (cc, gcc, clang)";
    const other = loadWasm();
    const works = !(other instanceof Error);
    const instead = works ? "the wasm backend, which is slower" : "the slow reference backend";
    process.stderr.write(`manabi: ${why}; computing on ${instead}. To cure it, ${cure}.\n`);
    active = works ? other : reference;
  }
  return active;
}

/** Chooses the backend for all that is computed from now on; "auto" takes the best that works. */
export function setBackend(name: BackendName | "auto"): void {
  if (name === "auto") active = null;
  else if (name === "reference") active = reference;
  else if (name === "native") {
    const loaded = loadNative();
    if (!loaded || loaded instanceof Error)
      throw new ManabiError(`backend native does not work here: ${loaded ? loaded.message : `no C compiler; ${cure}`}`);
    active = loaded;
  } else if (name === "wasm") {
    const loaded = loadWasm();
    if (loaded instanceof Error) throw new ManabiError(`backend wasm does not work here: ${loaded.message}`);
    active = loaded;
  } else throw unknownName("backend", name, ["auto", "native", "wasm", "reference"]);
}

/**
 * Compiles what the native backend runs from now on for another processor than this machine's: a name that the
 * compiler's -march knows, such as "x86-64-v3" (AVX2, no AVX-512), or "native".
 */
export function setProcessor(name: string): void {
  if (!/^[a-z0-9][a-z0-9.+_-]*$/i.test(name))
    throw new ManabiError(`processor "${name}" is no name that -march of a C compiler takes, such as x86-64-v3`);
  setTarget(name);
  if (active && active === native) active = null;
  native = undefined;
}

/** Sets the number of threads, 0 for every CPU that the process may use; returns that of the backend in use. */
export function setThreads(count: number): number {
  wantedThreads = count;
  const loaded = loadNative();
  if (loaded && !(loaded instanceof Error)) loaded.runtime.setThreads(count);
  if (wasm && !(wasm instanceof Error)) wasm.setThreads(count);
  return threadCount();
}

/** The number of threads of the backend in use, or of the one that would be. */
export function threadCount(): number {
  if (active === reference) return 1;
  const loaded = loadNative();
  if ((active === null || active === loaded) && loaded && !(loaded instanceof Error)) return loaded.runtime.threads;
  const other = loadWasm();
  return other instanceof Error ? 1 : other.threads;
}
