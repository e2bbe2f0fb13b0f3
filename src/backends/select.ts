import { ManabiError, unknownName } from "../core/errors.ts";
import type { Backend } from "./backend.ts";
import { nativeBackend } from "./native/index.ts";
import { onCompile, setTarget } from "./native/toolchain.ts";
import { reference } from "./reference/index.ts";

export { onCompile };

export type BackendName = "reference" | "native";

/** Why a backend does or does not work here. */
export interface BackendStatus {
  readonly name: BackendName;
  readonly works: boolean;
  readonly detail: string;
  /** Whether matrix precision `medium` multiplies bf16 there; it is f32 where not. */
  readonly multipliesBf16: boolean;
}

let native: ReturnType<typeof nativeBackend> | Error | undefined;
let active: Backend | null = null;

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
    { name: "native", works, detail, multipliesBf16: works && loaded.hasBf16 },
    { name: "reference", works: true, detail: "plain TypeScript, one thread", multipliesBf16: false },
  ];
}

/** The backend in use: the one set, else native where it works, else reference with a word about why. */
export function backend(): Backend {
  if (active) return active;
  const loaded = loadNative();
  if (loaded && !(loaded instanceof Error)) active = loaded;
  else {
    const why = loaded ? `the native backend failed: ${loaded.message}` : "no C compiler found (cc, gcc, clang)";
    process.stderr.write(`manabi: ${why}; computing on the slow reference backend. To cure it, ${cure}.\n`);
    active = reference;
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
  } else throw unknownName("backend", name, ["auto", "native", "reference"]);
}

/**
 * Compiles what the native backend runs from now on for another processor than this machine's: a name that the
 * compiler's -march knows, such as "x86-64-v3" (AVX2, no AVX-512), or "native". `symbols` are defined when the run time is
 * compiled: MNB_EMULATE_AMX has AMX computed in plain C, which is slow and for tests.
 */
export function setProcessor(name: string, symbols: readonly string[] = []): void {
  if (!/^[a-z0-9][a-z0-9.+_-]*$/i.test(name))
    throw new ManabiError(`processor "${name}" is no name that -march of a C compiler takes, such as x86-64-v3`);
  setTarget(name, symbols);
  if (active && active === native) active = null;
  native = undefined;
}

/** Sets the number of threads of the native backend, 0 for every CPU that the process may use; returns the number. */
export function setThreads(count: number): number {
  const loaded = loadNative();
  return loaded && !(loaded instanceof Error) ? loaded.runtime.setThreads(count) : 1;
}

/** The number of threads of the native backend; 1 where it does not work. */
export function threadCount(): number {
  const loaded = loadNative();
  return loaded && !(loaded instanceof Error) ? loaded.runtime.threads : 1;
}
