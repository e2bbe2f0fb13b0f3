import { readdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { loadPeakMeter, type PeakKind, type PeakMeter } from "../backends/native/peaks.ts";

/** A rate on one thread and on all threads at once. */
export interface Rate {
  readonly one: number;
  readonly all: number;
}

export interface CachePeak {
  readonly level: number;
  readonly bytes: number;
  /** Processors that share it. */
  readonly shared: number;
  /** Bytes per second of reading from it, on every level but the first of all threads' own caches together. */
  readonly read: Rate;
}

/** What this machine does at most, measured: FLOP/s and bytes/s. */
export interface MachinePeaks {
  readonly cpu: string;
  readonly threads: number;
  /** Load average of the last minute before the measurement. */
  readonly load: number;
  /** One chain of dependent scalar multiply-adds in f32: one instruction, one datum, no overlap. */
  readonly chain: number;
  /** Independent scalar multiply-adds in f32 on one core (SISD). */
  readonly scalar: number;
  /** Vectors of f32 and f64 on one core (SIMD) and on all (MIMD). */
  readonly f32: Rate;
  readonly f64: Rate;
  /** Dot products of bf16 with f32 sums, by the instructions that this machine has. */
  readonly bf16: readonly (Rate & { readonly name: string })[];
  /** Main memory, bytes as the program sees them: a copy moves two, a triad (a = b + s c) three per element. */
  readonly memory: Readonly<Record<"read" | "write" | "copy" | "triad", Rate>>;
  readonly caches: readonly CachePeak[];
}

/** The best of so many runs of about so many seconds counts: other processes only ever slow a run down, and a short run
 *  has the best chance to meet none of them. */
const runs = 40;
const runSeconds = 0.003;

/** Measures the machine; takes a few seconds. `tell` is told what is being measured. */
export function measureMachine(threads: number, tell: (what: string) => void = () => {}): MachinePeaks {
  const load = loadavg()[0];
  const meter = loadPeakMeter();
  const known = cacheSizes();
  const flops = (kind: PeakKind, what: string): Rate => {
    tell(what);
    const round = meter.flopsPerRound(kind);
    const rate = (count: number) => (count * round) / secondsPerRound(meter, kind, count, 0);
    return ofBoth(threads, rate);
  };
  const memory = (kind: PeakKind, bytes: (count: number) => number): Rate => {
    const passes = { copy: 2, triad: 3 }[kind as string] ?? 1;
    return ofBoth(threads, (count) => {
      const each = Math.max(512, Math.floor(bytes(count) / 512) * 512);
      return (count * passes * each) / secondsPerRound(meter, kind, count, each);
    });
  };
  // Far more than any cache holds.
  const largest = Math.max(64 << 20, 4 * Math.max(0, ...known.map(({ bytes }) => bytes)));
  const main = (kind: PeakKind) => {
    tell(`memory, ${kind}`);
    return memory(kind, (count) => largest / count);
  };
  const bf16 = (
    [
      ["dotBf16", "AVX512-BF16"],
      ["tileBf16", "AMX"],
    ] as const
  ).flatMap(([kind, name]) => (meter.flopsPerRound(kind) ? [{ name, ...flops(kind, `bf16, ${name}`) }] : []));
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    threads,
    load,
    chain: flops("scalarChain", "scalars, one chain").one,
    scalar: flops("scalar", "scalars").one,
    f32: flops("simd32", "vectors of f32"),
    f64: flops("simd64", "vectors of f64"),
    bf16,
    memory: { read: main("read"), write: main("write"), copy: main("copy"), triad: main("triad") },
    caches: known.map(({ level, bytes, shared }) => {
      tell(`cache of level ${level}`);
      // Half of it, since the program is not alone in there.
      return { level, bytes, shared, read: memory("read", (count) => bytes / 2 / Math.min(shared, count)) };
    }),
  };
}

/** Other processes rarely leave all cores alone at once: then the measurement is tried again, and what one thread does
 *  all can do. */
function ofBoth(threads: number, rate: (count: number) => number): Rate {
  const one = rate(1);
  let all = one;
  for (let attempt = 0; threads > 1 && attempt < 3 && all < 0.9 * threads * one; attempt++)
    all = Math.max(all, rate(threads));
  return { one, all };
}

function secondsPerRound(meter: PeakMeter, kind: PeakKind, threads: number, bytes: number): number {
  let rounds = 1;
  let seconds = meter.seconds(kind, threads, 3, rounds, bytes);
  while (seconds < runSeconds / 4) {
    rounds = Math.ceil(rounds * Math.min(100, Math.max(2, runSeconds / 2 / Math.max(seconds, 1e-9))));
    seconds = meter.seconds(kind, threads, 3, rounds, bytes);
  }
  rounds = Math.max(1, Math.round((rounds * runSeconds) / seconds));
  const tries = Math.max(5, Math.min(runs, Math.round((runs * runSeconds) / seconds)));
  return meter.seconds(kind, threads, tries, rounds, bytes) / rounds;
}

/** Data caches of the first processor, nearest first; empty where the system does not tell. */
function cacheSizes(): { level: number; bytes: number; shared: number }[] {
  const folder = "/sys/devices/system/cpu/cpu0/cache";
  try {
    return readdirSync(folder)
      .filter((name) => /^index\d+$/.test(name))
      .map((name) => {
        const read = (file: string) => readFileSync(join(folder, name, file), "utf8").trim();
        const [, size, unit] = /^(\d+)([KM]?)$/.exec(read("size")) ?? [];
        const bytes = Number(size) * ({ K: 1 << 10, M: 1 << 20 }[unit] ?? 1);
        return { type: read("type"), level: Number(read("level")), bytes, shared: countCpus(read("shared_cpu_list")) };
      })
      .filter(({ type, bytes }) => type !== "Instruction" && bytes > 0)
      .sort((a, b) => a.level - b.level)
      .map(({ level, bytes, shared }) => ({ level, bytes, shared }));
  } catch {
    return []; // not Linux
  }
}

/** "0-3,8" names five. */
const countCpus = (list: string): number =>
  list.split(",").reduce((sum, part) => {
    const [first, last = first] = part.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);

/** The height of the roof at an arithmetic intensity: FLOP/s that no f32 kernel on all threads exceeds. */
export const roofAt = (peaks: MachinePeaks, intensity: number): number =>
  Math.min(peaks.f32.all, intensity * bandwidth(peaks));

/** The fastest way to use main memory, bytes/s. */
export const bandwidth = ({ memory }: MachinePeaks): number => Math.max(...Object.values(memory).map(({ all }) => all));

/** Seconds below which a kernel cannot stay if its operands come from main memory. */
export const leastSeconds = (peaks: MachinePeaks, flops: number, bytes: number): number =>
  Math.max(flops / peaks.f32.all, bytes / bandwidth(peaks));
