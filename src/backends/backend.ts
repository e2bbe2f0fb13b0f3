import type { InstructionFacts } from "../compiler/cost.ts";
import type { DType, TypedArray } from "../core/dtype.ts";
import type { Graph } from "../graph/node.ts";

/** An instruction and the seconds that all its executions in one run took; a loop's include those of its body. */
export interface Timing extends InstructionFacts {
  readonly seconds: number;
}

/** A compiled graph. */
export interface Executable {
  /**
   * Runs once. `inputs` follow `graph.inputs`; the result follows `graph.outputs`. An output that updates an input is
   * written into that input's array and returned as that array. Every other output is a fresh array.
   */
  run(inputs: readonly TypedArray[]): TypedArray[];
  /** The compiled program as text, for people. */
  describe(): string;
  /** Runs once, as `run` does, and tells the seconds spent in each instruction, each loop before its body. */
  profile?(inputs: readonly TypedArray[]): { readonly results: TypedArray[]; readonly timings: Timing[] };
  /** Bytes planned for temporaries. */
  readonly arenaBytes?: number;
}

const writes = new WeakMap<TypedArray, number>();

/** Notes that the values of an array have been written over. */
export const noteWrite = (array: TypedArray): void => {
  writes.set(array, timesWritten(array) + 1);
};
/** Tells two states of an array apart. */
export const timesWritten = (array: TypedArray): number => writes.get(array) ?? 0;

/** What executes graphs. */
export interface Backend {
  readonly name: string;
  /** Tells its compiled programs from those of other backends, and from its own for other processors. */
  readonly key: string;
  /** Dtypes it computes in; any other is refused by name when a graph is compiled. */
  readonly dtypes: ReadonlySet<DType>;
  compile(graph: Graph): Executable;
  /** A copy of an array that programs update without moving it in and out; where left out, any copy is as good. */
  copy?(values: TypedArray): TypedArray;
}
