import type { TypedArray } from "../core/dtype.ts";
import type { Node, Spec } from "./node.ts";

/** A place that holds one value after another: parameters, optimizer state, running statistics, random counters. */
export interface Cell {
  /** The current value outside of traces. */
  node: Node;
  /** Whether somebody outside of a compiled step holds `node`; a step then may not overwrite its memory. */
  shared: boolean;
}

/** A recording of one call of a jitted function: it sees reads and writes of cells and of modes. */
export interface Trace {
  read(cell: Cell): Node;
  write(cell: Cell, value: Node): void;
  /** An input whose values the host works out before every run of the program, in the order of these calls. */
  feed(spec: Spec, read: () => TypedArray): Node;
  /** Notes a value outside of the graph that the trace depends on; when it changes, the function is traced anew. */
  guard(read: () => unknown): void;
}

let active: Trace | null = null;

export const activeTrace = (): Trace | null => active;

/** Runs `fn` with `trace` in force. */
export function withTrace<T>(trace: Trace, fn: () => T): T {
  const outer = active;
  active = trace;
  try {
    return fn();
  } finally {
    active = outer;
  }
}

export function readCell(cell: Cell): Node {
  if (active) return active.read(cell);
  cell.shared = true;
  return cell.node;
}

/** Cells assigned outside of traces since `takeAssigned` was called last. */
let assigned = new Set<Cell>();

export function writeCell(cell: Cell, value: Node): void {
  if (active) active.write(cell, value);
  else {
    cell.node = value;
    cell.shared = true;
    assigned.add(cell);
  }
}

/**
 * The cells that were assigned lately. Whoever evaluates computes their values along with what was asked for: a running
 * mean that nobody reads would otherwise grow a graph that holds every batch it has seen.
 */
export function takeAssigned(): ReadonlySet<Cell> {
  const cells = assigned;
  assigned = new Set();
  return cells;
}

/** `read()`, remembered by the trace in force. */
export function guarded<T>(read: () => T): T {
  active?.guard(read);
  return read();
}
