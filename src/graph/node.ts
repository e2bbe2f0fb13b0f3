import type { DType } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";
import type { Value } from "../core/value.ts";

/** Shape and dtype: all that is known of a value before it is computed. */
export interface Spec {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface VjpContext<A extends object> {
  /** Cotangent of the output: same shape and dtype as `out`. */
  readonly ct: Node;
  readonly out: Node;
  readonly inputs: readonly Node[];
  readonly attrs: A;
}

/** Rules of one operation of the closed set. */
export interface Primitive<A extends object = object> {
  readonly name: string;
  /** Shape and dtype of the output, or a ShapeError that names op, shapes and rule. */
  infer(inputs: readonly Node[], attrs: A): Spec;
  /** One cotangent per input, null where none flows. Absent: not differentiable (integer and boolean results). */
  vjp?(context: VjpContext<A>): (Node | null)[];
}

/** One value of the lazy graph. Ids only grow, so their order is a topological order. */
export interface Node extends Spec {
  readonly id: number;
  /** Changed once, when the value has been computed: the node then becomes a `data` leaf and lets its inputs go. */
  prim: Primitive;
  inputs: readonly Node[];
  attrs: object;
}

/** Attributes of a `data` leaf: dense row-major values. */
export interface DataAttrs {
  readonly data: Value;
}

let lastId = 0;

/** The id of the newest node; nodes made later have larger ids. */
export const currentId = (): number => lastId;

export function makeNode<A extends object>(prim: Primitive<A>, inputs: readonly Node[], attrs: A): Node {
  const { shape, dtype } = prim.infer(inputs, attrs);
  return { id: ++lastId, prim, inputs, attrs, shape, dtype };
}

/** Every node reachable from `roots` that `enter` admits, by rising id. */
export function reachable(roots: readonly Node[], enter: (node: Node) => boolean = () => true): Node[] {
  const seen = new Set<Node>();
  const stack = roots.filter(enter);
  while (stack.length) {
    const node = stack.pop() as Node;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) if (!seen.has(input) && enter(input)) stack.push(input);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** A traced computation. `updates` say which outputs replace which inputs (variables) after a run. */
export interface Graph {
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  readonly updates: readonly { readonly input: number; readonly output: number }[];
  /** Inputs that seldom change from run to run: variables that are read and not updated. */
  readonly constants?: readonly number[];
}
