import { sizeOf } from "../core/shape.ts";
import type { Node } from "../graph/node.ts";
import { type AxesAttrs, reshape, sum } from "../primitives/broadcast.ts";
import { dot } from "../primitives/contract.ts";
import { add, neg } from "../primitives/elementwise.ts";
import { type PermuteAttrs, permute } from "../primitives/movement.ts";

/** The values that a node of a loop's body takes over all steps, as one node [steps, ..] outside of the loop. */
type StackOf = (node: Node) => Node;
type AfterLoop = (stack: StackOf) => Node;

/** The sum over all steps of one value of the body. */
export interface StepSum {
  /** What has to be summed step by step, or null. */
  readonly carried: Node | null;
  /** What is computed from stacks once the loop is over, or null. */
  readonly after: AfterLoop | null;
}

/** Beyond this depth of a product adding up its result step by step costs next to nothing. */
const deepProduct = 512;
/** How much memory stacks may take, relative to what the loop keeps anyway. */
export const memoryFactor = 8;

/**
 * Takes sums over steps out of a loop: the sum of products x_t y_t is one product of all x side by side with all y, and
 * the sum of sums one sum over stacked values. A recurrent layer's weight gradient thus is one matrix product, in
 * place of a thin one and a pass over the weights at every step.
 */
export class StepSums {
  /** Values of the body that must be stacked, in order. */
  readonly stacked: Node[] = [];
  private readonly sequences: ReadonlyMap<Node, Node>;
  private readonly fixed: ReadonlySet<Node>;
  private readonly length: number;
  private room: number;

  /**
   * `sequences` maps the slices that a step receives to the whole they are slices of, `outputs` are stacked in any
   * case, `fixed` is the same at every step.
   */
  constructor(sequences: ReadonlyMap<Node, Node>, outputs: readonly Node[], fixed: readonly Node[], length: number) {
    this.sequences = sequences;
    this.fixed = new Set(fixed);
    this.length = length;
    this.stacked.push(...new Set(outputs.filter((n) => !this.isGiven(n))));
    const kept = [...sequences.keys(), ...this.stacked].reduce((n, x) => n + sizeOf(x.shape), 0);
    this.room = memoryFactor * kept;
  }

  /** How to have the sum of `value` over all steps. */
  split(value: Node): StepSum {
    if (value.prim.name === "add" && !this.isStacked(value)) {
      const [x, y] = value.inputs.map((n) => this.split(n));
      const join = <T>(a: T | null, b: T | null, both: (a: T, b: T) => T) => (a && b ? both(a, b) : (a ?? b));
      return {
        carried: join(x.carried, y.carried, add),
        after: join(x.after, y.after, (f, g) => (stack) => add(f(stack), g(stack))),
      };
    }
    const after = this.length > 1 ? this.hoist(value) : null;
    return after ? { carried: null, after } : { carried: value, after: null };
  }

  private hoist(value: Node): AfterLoop | null {
    const [x, y] = value.inputs;
    switch (value.prim.name) {
      case "neg":
        return this.through(x, neg);
      case "reshape":
        return this.through(x, (n) => reshape(n, value.shape));
      case "permute":
        return this.through(x, (n) => permute(n, (value.attrs as PermuteAttrs).perm));
      case "sum":
        if (!this.request(x)) return null;
        return (stack) => sum(stack(x), [0, ...(value.attrs as AxesAttrs).axes.map((a) => a + 1)]);
      case "dot":
        if (x.shape[x.shape.length - 1] > deepProduct || !this.request(x, y)) return null;
        return (stack) =>
          dot(sideBySide(stack(x), x.shape.length - 1), sideBySide(stack(y), x.shape.length - 2), value.attrs);
      default:
        // What is stacked anyway needs no running sum.
        return this.isStacked(base(value)) ? (stack) => sum(stack(value), [0]) : null;
    }
  }

  private through(x: Node, wrap: (n: Node) => Node): AfterLoop | null {
    const inner = this.hoist(x);
    return inner && ((stack) => wrap(inner(stack)));
  }

  /** Makes sure that the values will be stacked; false if they are fixed or would take too much memory. */
  private request(...values: readonly Node[]): boolean {
    const bases = [...new Set(values.map(base))].filter((n) => !this.isGiven(n));
    if (bases.some((n) => this.fixed.has(n) || n.inputs.length === 0)) return false;
    const wanted = bases.filter((n) => !this.isStacked(n));
    const size = wanted.reduce((n, x) => n + sizeOf(x.shape), 0);
    if (size > this.room) return false;
    this.room -= size;
    this.stacked.push(...wanted);
    return true;
  }

  private isGiven = (n: Node): boolean => this.sequences.has(n);
  private isStacked = (n: Node): boolean => this.isGiven(n) || this.stacked.includes(n);

  /** Stacks of body values, `whole` being those of what `stacked` lists. */
  stacks(whole: (at: number) => Node): StackOf {
    const stack = (n: Node): Node => {
      const given = this.sequences.get(n);
      if (given) return given;
      const at = this.stacked.indexOf(n);
      if (at >= 0) return whole(at);
      const inner = stack(n.inputs[0]);
      if (n.prim.name === "reshape") return reshape(inner, [this.length, ...n.shape]);
      return permute(inner, [0, ...(n.attrs as PermuteAttrs).perm.map((p) => p + 1)]);
    };
    return stack;
  }
}

/** What a value is only another arrangement of. */
const base = (n: Node): Node => (n.prim.name === "reshape" || n.prim.name === "permute" ? base(n.inputs[0]) : n);

/** [steps, a.., k, b..] with k on axis `axis` of a step, as [a.., steps * k, b..]. */
function sideBySide(x: Node, axis: number): Node {
  const steps = x.shape.map((_, i) => i);
  steps.splice(axis, 0, ...steps.splice(0, 1));
  const moved = permute(x, steps);
  const { shape } = moved;
  return reshape(moved, [...shape.slice(0, axis), shape[axis] * shape[axis + 1], ...shape.slice(axis + 2)]);
}
