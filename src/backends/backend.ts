import type { InstructionFacts } from "../compiler/cost.ts";
import type { DType, TypedArray } from "../core/dtype.ts";
import type { Value } from "../core/value.ts";
import type { Graph } from "../graph/node.ts";

/** An instruction and the seconds that all its executions in one run took; a loop's include those of its body. */
export interface Timing extends InstructionFacts {
  readonly seconds: number;
}

/** A compiled graph. `Result` is what it gives: host arrays where it computes in host memory. */
export interface Executable<Result extends Value = Value> {
  /**
   * Runs once. `inputs` follow `graph.inputs`; the result follows `graph.outputs`. An output that updates an input is
   * written into that input's memory and returned as that value; where a device computes and the input lies in host
   * memory, a value on the device takes its place. Every other output is fresh.
   */
  run(inputs: readonly Value[]): Result[];
  /** The compiled program as text, for people. */
  describe(): string;
  /** Runs once, as `run` does, and tells the seconds spent in each instruction, each loop before its body. */
  profile?(inputs: readonly Value[]): { readonly results: Result[]; readonly timings: Timing[] };
  /** The same where a device tells its times once it has computed. */
  profileOnDevice?(inputs: readonly Value[]): { readonly results: Result[]; readonly timings: Promise<Timing[]> };
  /** Bytes planned for temporaries. */
  readonly arenaBytes?: number;
}

const writes = new WeakMap<Value, number>();

/** Notes that values have been written over. */
export const noteWrite = (value: Value): void => {
  writes.set(value, timesWritten(value) + 1);
};
/** Tells two states of the same memory apart. */
export const timesWritten = (value: Value): number => writes.get(value) ?? 0;

/** What executes graphs. */
export interface Backend<Result extends Value = Value> {
  readonly name: string;
  /** Where the values that it computes lie. */
  readonly memory: "host" | "device";
  /** Tells its compiled programs from those of other backends, and from its own for other processors. */
  readonly key: string;
  /** Dtypes it computes in; any other is refused by name when a graph is compiled. */
  readonly dtypes: ReadonlySet<DType>;
  compile(graph: Graph): Executable<Result>;
  /** A copy of an array that programs update without moving it in and out; where left out, any copy is as good. */
  copy?(values: TypedArray): TypedArray;
  /** Resolves when all runs so far are done, throws what went wrong; left out where `run` returns when it is done. */
  finish?(): Promise<void>;
}
