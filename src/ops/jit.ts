import { type Executable, noteWrite, type Timing } from "../backends/backend.ts";
import { evaluate, isRecording } from "../backends/evaluate.ts";
import { backend } from "../backends/select.ts";
import type { DType, TypedArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { isOnHost, type Value } from "../core/value.ts";
import type { DataAttrs, Graph, Node } from "../graph/node.ts";
import { activeTrace, type Cell, type Trace, withTrace } from "../graph/variable.ts";
import { data, dataPrim, input } from "../primitives/leaf.ts";
import { autocastDType } from "./autocast.ts";
import { Tensor } from "./tensor.ts";
import { leaves, rebuild, type Tree } from "./tree.ts";

interface Guard {
  readonly read: () => unknown;
  readonly seen: unknown;
}

interface Program {
  readonly executable: Executable;
  /** Shapes and dtypes of the tensors among the arguments. */
  readonly parameters: readonly string[];
  readonly cells: readonly Cell[];
  /** What the cells held while recording. */
  readonly dtypes: readonly DType[];
  /** Positions in `cells` that the program assigns. */
  readonly assigned: readonly number[];
  readonly guards: readonly Guard[];
  /** What the host works out before every run. */
  readonly feeds: readonly (() => TypedArray)[];
  readonly outputs: readonly Node[];
  readonly rebuild: (tensors: readonly Tensor[]) => unknown;
}

/** Tensors, and options that are part of the signature, in arrays and records. */
type Argument =
  | Tensor
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Argument[]
  | { readonly [key: string]: Argument };

/** A jitted function. */
export interface Jitted<A extends readonly Argument[], R> {
  (...args: A): R;
  /** The compiled program for these arguments as text. */
  describe(...args: A): string;
  /** Runs once and tells the seconds spent in each instruction, each loop before its body; empty where the backend
   *  cannot tell. */
  profile(...args: A): Promise<Timing[]>;
}

/**
 * Compiles a function of tensors. The first call with a signature (shapes, dtypes, other arguments, train or eval mode,
 * autocast) records it; later calls replay the recording as one program. Assignments to variables are part of it. Whatever else
 * the function does, such as printing, happens only while recording.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a step may return nothing
export function jit<A extends readonly Argument[], R extends Tree | undefined | void>(
  fn: (...args: A) => R,
): Jitted<A, R> {
  const programs = new Map<string, Program[]>();

  const find = (args: A): { program: Program; tensors: Tensor[] } => {
    const tensors: Tensor[] = [];
    const key = signature(args, tensors);
    const candidates = programs.get(key) ?? [];
    let program = candidates.find((p) => fits(p) && p.guards.every(({ read, seen }) => Object.is(read(), seen)));
    if (!program) {
      program = record(fn, args, tensors);
      candidates.push(program);
      programs.set(key, candidates);
    }
    return { program, tensors };
  };

  const call = (...args: A): R => {
    // Inside of another recording, or where a gradient is taken, the function is part of what surrounds it.
    if (activeTrace() || isRecording()) return fn(...args);
    const { program, tensors } = find(args);
    return replay(program, tensors) as R;
  };
  return Object.assign(call, {
    describe: (...args: A) => find(args).program.executable.describe(),
    async profile(...args: A) {
      const { program, tensors } = find(args);
      const { executable } = program;
      const inputs = prepare(program, tensors);
      const run = executable.profile?.(inputs) ?? executable.profileOnDevice?.(inputs);
      if (run) keepUpdates(program, run.results);
      return run ? run.timings : [];
    },
  });
}

/** Whether the variables still have the dtypes that the program was compiled for: `module.to(dtype)` changes them. */
const fits = ({ cells, dtypes }: Program): boolean => cells.every((cell, i) => cell.node.dtype === dtypes[i]);

/** One run of a jitted function's program, as an observer sees it. */
export interface ProgramRun {
  /** The same object in every run of the program. */
  readonly executable: Executable;
  /** Shapes and dtypes of the tensors among the arguments. */
  readonly parameters: readonly string[];
  /** Variables that the program reads, their bytes, and how many of them it assigns. */
  readonly variables: number;
  readonly variableBytes: number;
  readonly updates: number;
  /** Milliseconds of `performance.now()` when the program was started. */
  readonly start: number;
  readonly seconds: number;
  readonly timings: readonly Timing[];
}

let observer: ((run: ProgramRun) => void) | null = null;

/**
 * Calls `listener` after each run of a jitted function, with the times of its instructions, until it is given null.
 * What the listener throws ends the call of the function. Backends that cannot tell times are not observed.
 */
export function observeRuns(listener: ((run: ProgramRun) => void) | null): void {
  observer = listener;
}

function signature(args: readonly unknown[], tensors: Tensor[]): string {
  let key = `${backend().key}|${autocastDType()}`;
  const visit = (x: unknown): void => {
    if (x instanceof Tensor) {
      tensors.push(x);
      key += `|${x.dtype}[${x.shape}]`;
    } else if (x !== null && typeof x === "object") {
      if (!Array.isArray(x) && Object.getPrototypeOf(x) !== Object.prototype)
        throw new ManabiError(
          `jit: an argument is a ${x.constructor?.name ?? "object"}; arguments are tensors, arrays, records and plain ` +
            "values; use modules and other objects from outside of the function",
        );
      key += `|${Array.isArray(x) ? "[" : "{"}`;
      for (const [k, v] of Object.entries(x)) {
        key += `,${k}`;
        visit(v);
      }
      key += "}";
    } else if (typeof x === "function")
      throw new ManabiError("jit: arguments are tensors and plain values, not functions");
    else key += `|${typeof x === "string" ? JSON.stringify(x) : String(x)}`;
  };
  for (const a of args) visit(a);
  return key;
}

/** The graph that `jit(fn)` compiles for these arguments. */
export function traceGraph<A extends readonly Argument[]>(fn: (...args: A) => unknown, ...args: A): Graph {
  const tensors: Tensor[] = [];
  signature(args, tensors);
  return trace(fn, args, tensors).graph;
}

/** What one call of a function does, before it is compiled. */
interface Recording extends Omit<Program, "executable" | "parameters"> {
  readonly graph: Graph;
}

function record(fn: (...args: never[]) => unknown, args: readonly unknown[], tensors: readonly Tensor[]): Program {
  const { graph, ...rest } = trace(fn, args, tensors);
  const parameters = tensors.map(({ dtype, shape }) => `${dtype}[${shape}]`);
  return { executable: backend().compile(graph), parameters, ...rest };
}

function trace(fn: (...args: never[]) => unknown, args: readonly unknown[], tensors: readonly Tensor[]): Recording {
  const placeholders = tensors.map((t) => input(t));
  const cells: Cell[] = [];
  const before = new Map<Cell, Node>();
  const current = new Map<Cell, Node>();
  const guards: Guard[] = [];
  const fed: Node[] = [];
  const feeds: (() => TypedArray)[] = [];
  const recorder: Trace = {
    read(cell) {
      let node = current.get(cell);
      if (!node) {
        node = input(cell.node);
        cells.push(cell);
        before.set(cell, node);
        current.set(cell, node);
      }
      return node;
    },
    write(cell, value) {
      recorder.read(cell);
      current.set(cell, value);
    },
    feed(spec, read) {
      const node = input(spec);
      fed.push(node);
      feeds.push(read);
      return node;
    },
    guard(read) {
      if (!guards.some((g) => g.read === read)) guards.push({ read, seen: read() });
    },
  };
  let next = 0;
  const stand = (x: unknown): unknown => {
    if (x instanceof Tensor) return new Tensor(placeholders[next++]);
    if (Array.isArray(x)) return x.map(stand);
    if (x !== null && typeof x === "object")
      return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, stand(v)]));
    return x;
  };
  const result = withTrace(recorder, () => {
    const value = fn(...(args.map(stand) as never[])) as Tree | undefined | Promise<unknown>;
    if (value instanceof Promise) throw new ManabiError("jit: the function must not be async; await outside of it");
    // A returned variable stands for its value at the end of the step.
    return value === undefined
      ? { nodes: [], tree: undefined }
      : { nodes: leaves(value).map((t) => t.node), tree: value };
  });
  const assigned = cells.flatMap((cell, i) => (current.get(cell) === before.get(cell) ? [] : [i]));
  const graph: Graph = {
    inputs: [...placeholders, ...cells.map((c) => before.get(c) as Node), ...fed],
    outputs: [...result.nodes, ...assigned.map((i) => current.get(cells[i]) as Node)],
    constants: cells.flatMap((_, i) => (assigned.includes(i) ? [] : [placeholders.length + i])),
    updates: assigned.map((i, k) => ({ input: placeholders.length + i, output: result.nodes.length + k })),
  };
  const { tree } = result;
  return {
    graph,
    cells,
    dtypes: cells.map((cell) => cell.node.dtype),
    assigned,
    guards,
    feeds,
    outputs: result.nodes,
    rebuild: (values) => (tree === undefined ? undefined : rebuild(tree, values)),
  };
}

/** What a program runs on: arguments, variables, what the host works out. */
function prepare({ cells, assigned, feeds }: Program, tensors: readonly Tensor[]): Value[] {
  const unknown = cells.filter((c) => c.node.prim !== dataPrim).map((c) => c.node);
  if (unknown.length) evaluate(unknown);
  // Before variables get memory of their own: an argument may be the value of one.
  const inputs: Value[] = evaluate(tensors.map((t) => t.node));
  for (const i of assigned) own(cells[i]);
  for (const cell of cells) inputs.push(valuesOf(cell));
  for (const read of feeds) {
    const values = read();
    // The host may have changed them in place.
    noteWrite(values);
    inputs.push(values);
  }
  return inputs;
}

function replay(program: Program, tensors: readonly Tensor[]): unknown {
  const inputs = prepare(program, tensors);
  const results = observer ? observed(program, inputs, observer) : program.executable.run(inputs);
  keepUpdates(program, results);
  return program.rebuild(
    program.outputs.map(({ shape, dtype }, i) => new Tensor(data({ shape, dtype, data: results[i] }))),
  );
}

/** The variables that a run has assigned hold what it gave, for the most part in the memory they had. */
function keepUpdates({ cells, assigned, outputs }: Program, results: readonly Value[]): void {
  for (const [k, i] of assigned.entries()) {
    const cell = cells[i];
    const value = results[outputs.length + k];
    if (value === valuesOf(cell)) noteWrite(value);
    else cell.node = data({ shape: cell.node.shape, dtype: cell.node.dtype, data: value });
  }
}

function observed(program: Program, inputs: readonly Value[], listener: (run: ProgramRun) => void): Value[] {
  const { executable, parameters, cells, assigned } = program;
  if (!executable.profile) return executable.run(inputs);
  const start = performance.now();
  const { results, timings } = executable.profile(inputs);
  const seconds = (performance.now() - start) / 1000;
  const variableBytes = cells.reduce((sum, cell) => sum + valuesOf(cell).byteLength, 0);
  const counts = { variables: cells.length, variableBytes, updates: assigned.length };
  listener({ executable, parameters, ...counts, start, seconds, timings });
  return results;
}

const valuesOf = (cell: Cell): Value => (cell.node.attrs as DataAttrs).data;

const copyOf = (values: Value): Value => (isOnHost(values) && backend().copy?.(values)) || (values.slice() as Value);

/** Gives a cell memory that nobody else reads, since the step will write over it. */
function own(cell: Cell): void {
  if (!cell.shared) return;
  const { shape, dtype } = cell.node;
  cell.node = data({ shape, dtype, data: copyOf(valuesOf(cell)) });
  cell.shared = false;
}
