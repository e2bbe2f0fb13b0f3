import type { Timing } from "../backends/backend.ts";
import type { ProgramRun } from "../ops/jit.ts";

/** A complete event ("X") or a name ("M") of the Chrome trace-event format; times are microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const [pid, programs, instructions] = [1, 1, 2];

/**
 * Runs as a trace that chrome://tracing and Perfetto open: one row of programs, with the host's work as the gaps
 * between them, and one of their instructions. Instructions inside of a loop are drawn one after the other with the
 * sum over all turns.
 */
export function traceOf(title: string, runs: readonly ProgramRun[]): { readonly traceEvents: readonly TraceEvent[] } {
  const first = Math.min(...runs.map(({ start }) => start));
  const numbers = new Map<object, number>();
  for (const { executable } of runs) if (!numbers.has(executable)) numbers.set(executable, numbers.size + 1);
  const named = (name: string, tid: number, value: string): TraceEvent => ({
    ...{ name, ph: "M", pid, tid },
    args: { name: value },
  });
  const traceEvents = [
    named("process_name", 0, title),
    named("thread_name", programs, "programs"),
    named("thread_name", instructions, "instructions"),
  ];
  for (const { executable, start, seconds, parameters, updates, timings } of runs) {
    const ts = (start - first) * 1000;
    const name = `${updates > 0 ? "step" : "program"} ${numbers.get(executable)}`;
    const args = { parameters, updates };
    traceEvents.push({ name, ph: "X", cat: "program", pid, tid: programs, ts, dur: seconds * 1e6, args });
    place(timings, ts, traceEvents);
  }
  return { traceEvents };
}

/** Instructions one after the other from `ts` on, bodies inside of their loops. */
function place(timings: readonly Timing[], ts: number, into: TraceEvent[]): void {
  /** Where the next instruction of each depth begins. */
  const next = [ts];
  for (const { name, kind, shape, text, depth, calls, flops, bytesRead, bytesWritten, seconds } of timings) {
    const [from, dur] = [next[depth], seconds * 1e6];
    next[depth] = from + dur;
    next[depth + 1] = from;
    const rates = { gflops: flops === null ? null : (calls * flops) / seconds / 1e9 };
    const args = { shape, calls, flops, bytesRead, bytesWritten, ...rates, text };
    into.push({ name: `${name} ${shape}`, ph: "X", cat: kind, pid, tid: instructions, ts: from, dur, args });
  }
}
