import { platform, providers } from "#platform/backends/providers";
import { host } from "#platform/core/host";
import type { DType } from "../core/dtype.ts";
import { ManabiError, unknownName } from "../core/errors.ts";
import type { Backend } from "./backend.ts";
import { type BackendName, type BackendProvider, type OpenBackend, type Threads, Unavailable } from "./provider.ts";
import type { WebGpuOptions } from "./webgpu/open.ts";

export type { BackendName };

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

/** Backends of other platforms than this one, and what to do without them. */
const elsewhere: Partial<Record<BackendName, string>> = {
  native: 'it needs a C compiler and so Node; take "auto", or "webgpu" after await prepareBackend("webgpu")',
};

/** The backend in use, and where it comes from. */
let active: { readonly provider: BackendProvider; readonly opened: OpenBackend } | null = null;

/** A backend, or the error if it does not work here. */
function open(provider: BackendProvider): OpenBackend | Error {
  try {
    return provider.open();
  } catch (error) {
    return error as Error;
  }
}

/** Whether each backend of this platform works on this machine, and why not. */
export const backendStatus = (): BackendStatus[] => providers.map(statusOf);

function statusOf(provider: BackendProvider): BackendStatus {
  const { name, dtypes } = provider;
  const result = open(provider);
  return result instanceof Error
    ? { name, dtypes, works: false, detail: result.message, multipliesBf16: false }
    : { name, dtypes, works: true, detail: result.detail(), multipliesBf16: result.multipliesBf16 };
}

/**
 * Gets a backend ready that takes time for it, and tells whether it works, and why not. For webgpu it opens a device,
 * anew where the one before was lost; `setBackend` then takes it. The others need nothing.
 */
export async function prepareBackend(name: BackendName, options?: WebGpuOptions): Promise<BackendStatus> {
  const provider = find(name);
  await provider.prepare?.(options);
  if (active?.provider === provider) {
    const opened = open(provider);
    active = opened instanceof Error ? null : { provider, opened };
  }
  return statusOf(provider);
}

/** A backend of this platform by name; throws what to do instead where there is none. */
function find(name: string): BackendProvider {
  const provider = providers.find((p) => p.name === name);
  if (provider) return provider;
  if (Object.hasOwn(elsewhere, name))
    throw new ManabiError(`backend ${name} does not exist in ${platform}: ${elsewhere[name as BackendName]}`);
  throw unknownName("backend", name, ["auto", ...providers.map((p) => p.name)]);
}

/** The backend in use: the one set, else the best that works, with a word about why it is not a better one. */
export const backend = (): Backend => inUse().backend;

function inUse(): OpenBackend {
  if (active) return active.opened;
  let passed: [BackendProvider, Error] | null = null;
  for (const provider of providers) {
    const opened = open(provider);
    if (!(opened instanceof Error)) {
      if (passed) host.warn(insteadOf(...passed, provider.name));
      active = { provider, opened };
      return opened;
    }
    if (provider.expected) passed ??= [provider, opened];
  }
  throw new ManabiError(`no backend works here: ${passed?.[1].message}`);
}

function insteadOf({ name }: BackendProvider, error: Error, chosen: BackendName): string {
  const [why, cure] =
    error instanceof Unavailable
      ? [error.reason, error.cure]
      : [`the ${name} backend failed: ${error.message}`, `repair that, or choose another: setBackend("${chosen}")`];
  const slow = chosen === "reference" ? "slow " : "";
  return `${why}; computing on the ${slow}${chosen} backend. To cure it, ${cure}.`;
}

/** Chooses the backend for all that is computed from now on; "auto" takes the best that works. */
export function setBackend(name: BackendName | "auto"): void {
  if (name === "auto") {
    active = null;
    return;
  }
  const provider = find(name);
  const opened = open(provider);
  if (opened instanceof Error)
    throw new ManabiError(`backend ${name} does not work here: ${opened.message}`, { cause: opened });
  active = { provider, opened };
}

/**
 * Compiles what the native backend runs from now on for another processor than this machine's: a name that the
 * compiler's -march knows, such as "x86-64-v3" (AVX2, no AVX-512), or "native". `symbols` are defined when the run time is
 * compiled: MNB_EMULATE_AMX has AMX computed in plain C, which is slow and for tests.
 */
export function setProcessor(name: string, symbols: readonly string[] = []): void {
  if (!/^[a-z0-9][a-z0-9.+_-]*$/i.test(name))
    throw new ManabiError(`processor "${name}" is no name that -march of a C compiler takes, such as x86-64-v3`);
  const provider = providers.find((p) => p.setProcessor);
  if (!provider?.setProcessor)
    throw new ManabiError(`setProcessor: only the native backend compiles for a processor, and ${platform} has none`);
  provider.setProcessor(name, symbols);
  if (active?.provider === provider) active = null;
}

const oneThread: Threads = { count: 1, set: () => 1 };

/** Sets the number of threads of the backend in use, 0 for every CPU that the program may use; returns the number. */
export const setThreads = (count: number): number => (inUse().threads ?? oneThread).set(count);

/** The number of threads of the backend in use. */
export const threadCount = (): number => (inUse().threads ?? oneThread).count;
