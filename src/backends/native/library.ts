import { createRequire } from "node:module";
import type { TypedArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { buildRuntime, type Toolchain } from "./toolchain.ts";

type Koffi = typeof import("koffi");

let koffi: Koffi | null = null;

/** Loaded when it is first needed: where there is no prebuilt binary of it, the other backends still work. */
export function foreign(): Koffi {
  koffi ??= createRequire(import.meta.url)("koffi") as Koffi;
  return koffi;
}

/** The loaded run time. Addresses are numbers: user space lies below 2^53. */
export interface Runtime {
  readonly threads: number;
  /** Sets the number of threads, 0 for every CPU the process may use; returns it. */
  setThreads(count: number): number;
  /** Runs a tape; throws what the run time reports. `held` are arrays that only the tape refers to: they stay alive. */
  run(tape: number, words: number, slots: number, held: readonly TypedArray[]): void;
  /** Seconds of each instruction, each loop before its body, are added to `seconds`. */
  runTimed(tape: number, words: number, slots: number, seconds: Float64Array): void;
  alloc(bytes: number): number;
  free(address: number, bytes: number): void;
  /** Addresses of the kernels of a generated library. */
  load(path: string, count: number): number[];
  /** Address of a built-in operation. */
  symbol(name: string): number;
  /** Elements of the second operand of an operation with these parameters once it is packed; 0 if it packs none. */
  packedSize(name: string, params: readonly number[]): number;
}

export function loadRuntime(toolchain: Toolchain): Runtime {
  const library = foreign().load(buildRuntime(toolchain));
  const init = library.func("int mnb_init(int threads)");
  const runTape = library.func("int mnb_run(uintptr_t tape, int64_t words, uintptr_t slots)");
  const runTimed = library.func("int mnb_run_timed(uintptr_t tape, int64_t words, uintptr_t slots, double *seconds)");
  const alloc = library.func("uintptr_t mnb_alloc(int64_t bytes)");
  const free = library.func("void mnb_free(uintptr_t p, int64_t bytes)");
  const load = library.func("int mnb_load(str path, int64_t count, uint64_t *out)");
  const symbol = library.func("uint64_t mnb_symbol(str name)");
  const packedElements = library.func("int64_t mnb_packed_elements(str name, int64_t *params)");
  const lastError = library.func("str mnb_error()");
  const check = (status: number) => {
    if (status !== 0) throw new ManabiError(`native: ${lastError()}`);
  };
  let threads: number = init(0);
  return {
    get threads() {
      return threads;
    },
    setThreads: (count) => (threads = init(count)),
    run: (tape, words, slots, _held) => check(runTape(tape, words, slots)),
    runTimed: (tape, words, slots, seconds) => check(runTimed(tape, words, slots, seconds)),
    alloc(bytes) {
      const address = Number(alloc(bytes));
      if (address === 0)
        throw new ManabiError(
          `native: no memory for ${bytes} bytes of temporaries; use a smaller batch or checkpoint()`,
        );
      return address;
    },
    free: (address, bytes) => free(address, bytes),
    load(path, count) {
      const out = new BigUint64Array(count);
      check(load(path, count, out));
      return Array.from(out, Number);
    },
    packedSize: (name, params) => Number(packedElements(name, BigInt64Array.from(params, BigInt))),
    symbol(name) {
      const address = Number(symbol(name));
      if (address === 0) throw new ManabiError(`native: the run time has no operation ${name}`);
      return address;
    },
  };
}

const addresses = new WeakMap<ArrayBufferLike, bigint>();

/** Where the values of an array lie. Array buffers do not move. */
export function addressOf(array: ArrayBufferView): bigint {
  const { buffer, byteOffset } = array;
  let base = addresses.get(buffer);
  if (base === undefined) {
    // Of a view: of shared buffers, which the wasm backend computes in, koffi takes no other.
    base = BigInt(foreign().address(new Uint8Array(buffer)));
    addresses.set(buffer, base);
  }
  return byteOffset === 0 ? base : base + BigInt(byteOffset);
}
