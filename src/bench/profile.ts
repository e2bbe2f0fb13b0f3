import type { Executable, Timing } from "../backends/backend.ts";
import type { InstructionFacts } from "../compiler/cost.ts";
import type { ProgramRun } from "../ops/jit.ts";
import { leastSeconds, type MachinePeaks } from "./machine.ts";

/** Instructions of a program that do the same work on the same shapes, together. Amounts are per run of the program. */
export interface KernelProfile extends Pick<InstructionFacts, "kind" | "name" | "shape" | "text"> {
  readonly family: Family;
  /** Instructions in the program, and how often they are executed in one run. */
  readonly count: number;
  readonly calls: number;
  /** Median over the runs. */
  readonly seconds: number;
  /** Part of the time of the program's instructions. */
  readonly share: number;
  /** Floating-point operations; null where they are not known. */
  readonly flops: number | null;
  readonly bytes: number;
  readonly flopsPerSecond: number | null;
  readonly bytesPerSecond: number;
  /** Operations per byte; null without operations. */
  readonly intensity: number | null;
  /** Least possible seconds by the machine's peaks over the seconds taken: 1 is the roof. */
  readonly roofline: number | null;
}

export const families = ["matrix products", "convolutions", "reductions", "other kernels"] as const;
export type Family = (typeof families)[number];

/** One compiled program of a recipe, over all runs that were timed. Amounts are per run. */
export interface ProgramProfile {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly updates: number;
  readonly variables: number;
  readonly variableBytes: number;
  readonly arenaBytes: number;
  readonly runs: number;
  /** Median over the runs. */
  readonly seconds: number;
  /** Operations of the instructions where they are known. */
  readonly flops: number;
  readonly bytes: number;
  /** Least possible seconds of all instructions over those taken. */
  readonly roofline: number | null;
  /** Longest first. */
  readonly kernels: readonly KernelProfile[];
}

/** The programs among runs, those that update variables first, then by time in all. Without peaks, shares of the roof
 *  are null. */
export function profilePrograms(runs: readonly ProgramRun[], peaks: MachinePeaks | null): ProgramProfile[] {
  const byProgram = new Map<Executable, ProgramRun[]>();
  for (const run of runs) byProgram.set(run.executable, [...(byProgram.get(run.executable) ?? []), run]);
  const total = (list: readonly ProgramRun[]) => list.reduce((sum, { seconds }) => sum + seconds, 0);
  return [...byProgram.values()]
    .sort((a, b) => Number(b[0].updates > 0) - Number(a[0].updates > 0) || total(b) - total(a))
    .map((list, i) => profileProgram(programName(list[0], i), list, peaks));
}

const programName = ({ updates }: ProgramRun, i: number): string =>
  `${updates > 0 ? "step" : "program"}${i === 0 ? "" : ` ${i + 1}`}`;

function profileProgram(name: string, runs: readonly ProgramRun[], peaks: MachinePeaks | null): ProgramProfile {
  const [{ executable, parameters, variables, variableBytes, updates, timings }] = runs;
  const times = runs.map((run) => selfSeconds(run.timings));
  const groups = new Map<string, number[]>();
  timings.forEach(({ text, depth }, i) => {
    const key = `${depth}:${text}`;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  const rows = [...groups.values()].map((members) => {
    const seconds = median(times.map((run) => members.reduce((sum, i) => sum + run[i], 0)));
    return kernelProfile(
      members.map((i) => timings[i]),
      seconds,
      peaks,
    );
  });
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const seconds = sum((row) => row.seconds);
  const kernels = rows
    .map((row): KernelProfile => ({ ...row, share: seconds > 0 ? row.seconds / seconds : 0 }))
    .sort((a, b) => b.seconds - a.seconds);
  return {
    ...{ name, parameters, updates, variables, variableBytes, kernels },
    arenaBytes: executable.arenaBytes ?? 0,
    runs: runs.length,
    seconds: median(runs.map((run) => run.seconds)),
    flops: sum((row) => row.flops ?? 0),
    bytes: sum((row) => row.bytes),
    roofline: peaks && seconds > 0 ? sum((row) => (row.roofline ?? 0) * row.seconds) / seconds : null,
  };
}

/** Seconds of each instruction without those of the instructions inside of it. */
export function selfSeconds(timings: readonly Pick<Timing, "depth" | "seconds">[]): number[] {
  const own = timings.map(({ seconds }) => seconds);
  timings.forEach(({ depth, seconds }, i) => {
    if (depth === 0) return;
    let parent = i - 1;
    while (timings[parent].depth >= depth) parent--;
    own[parent] = Math.max(0, own[parent] - seconds);
  });
  return own;
}

function kernelProfile(
  members: readonly Timing[],
  seconds: number,
  peaks: MachinePeaks | null,
): Omit<KernelProfile, "share"> {
  const [{ kind, name, shape, text }] = members;
  // The work of a loop is that of its body; what is left is the turning.
  const per = (of: (member: Timing) => number) =>
    kind === "loop" ? 0 : members.reduce((sum, m) => sum + m.calls * of(m), 0);
  const flops = members.some((m) => m.flops === null) ? null : per((m) => m.flops ?? 0);
  const bytes = per((m) => m.bytesRead + m.bytesWritten);
  const known = peaks !== null && flops !== null && seconds > 0 && kind !== "loop";
  return {
    ...{ kind, name, shape, text, seconds, flops, bytes },
    family: familyOf(members[0]),
    count: members.length,
    calls: members.reduce((sum, { calls }) => sum + calls, 0),
    flopsPerSecond: flops === null ? null : flops / seconds || 0,
    bytesPerSecond: bytes / seconds || 0,
    intensity: flops !== null && flops > 0 && bytes > 0 ? flops / bytes : null,
    roofline: known ? leastSeconds(peaks, flops, bytes) / seconds : null,
  };
}

function familyOf({ name, shape, kind }: InstructionFacts): Family {
  if (kind === "op" && name.startsWith("gemm")) return "matrix products";
  if (kind === "op" && name.startsWith("conv")) return "convolutions";
  return kind === "kernel" && shape.includes(" of ") ? "reductions" : "other kernels";
}

export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
