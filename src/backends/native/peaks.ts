import { ManabiError } from "../../core/errors.ts";
import { foreign } from "./library.ts";
import { buildPeaks, findToolchain } from "./toolchain.ts";

/** Kinds of work that `machine/peaks.c` can do, in its order. */
const kinds = [
  "scalarChain",
  "scalar",
  "simd32",
  "simd64",
  "dotBf16",
  "tileBf16",
  "read",
  "write",
  "copy",
  "triad",
] as const;

export type PeakKind = (typeof kinds)[number];

/** What the machine does at most, by measurement. */
export interface PeakMeter {
  /** Floating-point operations of one round on one thread; 0 for memory, and where the machine lacks the instructions. */
  flopsPerRound(kind: PeakKind): number;
  /** Seconds of `rounds` rounds on `threads` threads at once, the least of `runs` (at most 64) tries. A round of "read" to "triad" passes once over arrays of
   *  `bytes` (a multiple of 512) that belong to the thread: one array, or two for "copy", three for "triad". */
  seconds(kind: PeakKind, threads: number, runs: number, rounds: number, bytes?: number): number;
}

/** Compiles and loads the meter. Throws where there is no C compiler. */
export function loadPeakMeter(): PeakMeter {
  const toolchain = findToolchain();
  if (!toolchain || process.platform === "win32")
    throw new ManabiError(
      "the peaks of a machine are measured in C and no C compiler was found (cc, gcc, clang); install one, and see manabi doctor",
    );
  const library = foreign().load(buildPeaks(toolchain));
  const flops = library.func("double mnb_peak_flops(int kind)");
  const work = library.func("double mnb_peak_work(int kind, int threads, int runs, int64_t rounds, int64_t lines)");
  return {
    flopsPerRound: (kind) => flops(kinds.indexOf(kind)),
    seconds(kind, threads, runs, rounds, bytes = 0) {
      const seconds: number = work(kinds.indexOf(kind), threads, runs, rounds, bytes / 64);
      if (seconds < 0)
        throw new ManabiError(
          `cannot measure "${kind}" on ${threads} threads with ${bytes} bytes each: not enough memory or threads`,
        );
      return seconds;
    },
  };
}
