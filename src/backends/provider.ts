import type { DType } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import type { Backend } from "./backend.ts";
import type { WebGpuOptions } from "./webgpu/open.ts";

export type BackendName = "reference" | "native" | "wasm" | "webgpu";

/** The threads that a backend computes with. */
export interface Threads {
  readonly count: number;
  /** Sets their number, 0 for every CPU that the program may use; returns it. */
  set(count: number): number;
}

/** A backend that works here. */
export interface OpenBackend {
  readonly backend: Backend;
  /** What it computes with, for people. */
  detail(): string;
  /** Whether matrix precision `medium` multiplies bf16 there; it is f32 where not. */
  readonly multipliesBf16: boolean;
  readonly threads: Threads | null;
}

/** A way to a backend, which a platform may have. */
export interface BackendProvider {
  readonly name: BackendName;
  /** What it computes in, where it works. */
  readonly dtypes: ReadonlySet<DType>;
  /** Whether a user expects it to work, so that an automatic choice which passes it over is told. */
  readonly expected: boolean;
  /** The backend, the same until it is replaced; throws `Unavailable`, or the error of a backend that is broken. */
  open(): OpenBackend;
  /** Opens the device that `open` then uses, for those that take time for it; a failure is told by `open`. */
  prepare?(options?: WebGpuOptions): Promise<void>;
  /** Compiles for another processor from the next `open` on. */
  setProcessor?(name: string, symbols: readonly string[]): void;
}

/** A backend does not work here: why, and what would cure that. */
export class Unavailable extends ManabiError {
  override name = "Unavailable";
  readonly reason: string;
  readonly cure: string;

  constructor(reason: string, cure: string) {
    super(`${reason}; ${cure}`);
    this.reason = reason;
    this.cure = cure;
  }
}

/** Makes a backend when it is first asked for; the error, too, is the same until `forget`. */
export function once(make: () => OpenBackend): { open(): OpenBackend; forget(): void } {
  let made: OpenBackend | Error | null = null;
  return {
    open() {
      try {
        made ??= make();
      } catch (error) {
        made = error as Error;
      }
      if (made instanceof Error) throw made;
      return made;
    },
    forget() {
      made = null;
    },
  };
}
