import type { Node } from "../../graph/node.ts";
import { ManabiError, type Shape } from "../../index.ts";
import type { GraphWriter } from "../graph-writer.ts";
import { type Extent, extents, type TracePair } from "../trace.ts";

/** A node of the trace as a value of the ONNX graph. Axes that are only repeated are not written out: elementwise
 *  operators broadcast by themselves. */
export interface Value {
  readonly name: string;
  /** As the node's shape, with 1 where the value is repeated along an axis. */
  readonly shape: Shape;
  /** Whether it is one number without axes, which suits any rank. */
  readonly scalar: boolean;
}

/** What a lowering sees of the node it writes. */
export interface Site<A extends object = object> {
  readonly node: Node;
  readonly attrs: A;
  readonly writer: GraphWriter;
  /** Input `i` of the node. */
  readonly input: (i: number) => Value;
  readonly emitter: Emitter;
}

/** Writes a node of the trace, and returns its value. */
export type Lowering<A extends object = object> = (site: Site<A>) => Value;

/** What all lowerings of one graph share. */
export class Emitter {
  readonly pair: TracePair;
  readonly writer: GraphWriter;
  readonly #values = new Map<Node, Value>();
  readonly #inputName: string;
  readonly #inputAxis: number;

  /** The size that may vary is that of `axis` of the graph's input called `inputName`. */
  constructor(pair: TracePair, writer: GraphWriter, inputName: string, inputAxis: number) {
    this.pair = pair;
    this.writer = writer;
    this.#inputName = inputName;
    this.#inputAxis = inputAxis;
  }

  set(node: Node, value: Value): void {
    this.#values.set(node, value);
  }

  get(node: Node): Value {
    return this.#values.get(node) as Value;
  }

  extents(node: Node): Extent[] {
    return extents(this.pair, node.shape, this.pair.twin(node).shape);
  }

  /** The name of a value with all its elements. */
  full(node: Node): string {
    const { name, shape, scalar } = this.get(node);
    const repeated = node.shape.map((d, i) => scalar || shape[i] !== d);
    if (!repeated.includes(true)) return name;
    const wanted = this.extents(node).map((extent, i): Extent => (repeated[i] ? extent : { fixed: 1 }));
    return this.writer.node("Expand", [name, this.sizes(wanted)]);
  }

  /** A shape as an int64 vector that is known when the model runs. */
  sizes(list: readonly Extent[]): string {
    if (list.every((extent) => "fixed" in extent))
      return this.writer.integers(list.map((extent) => ("fixed" in extent ? extent.fixed : 0)));
    const parts = list.map((extent) =>
      "fixed" in extent ? this.writer.integers([extent.fixed]) : this.size(extent.times),
    );
    return parts.length === 1 ? parts[0] : this.writer.node("Concat", parts, { axis: 0 });
  }

  /** So many times the size that may vary, as an int64 vector of one. */
  size(times: number): string {
    const [start, end] = [this.#inputAxis, this.#inputAxis + 1];
    const one = this.writer.node("Shape", [this.#inputName], { start, end });
    return times === 1 ? one : this.writer.node("Mul", [one, this.writer.integers([times])]);
  }

  /** `pick` of the attributes, which must be the same in both recordings. */
  fixed<A extends object, T>({ node, attrs }: Site<A>, pick: (attrs: A) => T): T {
    const value = pick(attrs);
    if (JSON.stringify(value) !== JSON.stringify(pick(this.pair.twin(node).attrs as A)))
      throw new ManabiError(
        `exportOnnx: ${node.prim.name} depends on the size of "${this.pair.symbol}" in a way that an exported model ` +
          "cannot; give a number in its place",
      );
    return value;
  }
}

/** A value that has all elements of its node. */
export const whole = (name: string, node: Node): Value => ({ name, shape: node.shape, scalar: false });
