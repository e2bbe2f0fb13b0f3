import type { HostArray } from "../index.ts";
import { type AttributeProto, attributeTypes, type NodeProto, type TensorProto } from "./schema.ts";
import { int64, toTensorProto } from "./tensor-proto.ts";

/** The value of an attribute: integers, unless wrapped as `{ float }`. */
export type AttributeValue = number | string | readonly number[] | { readonly float: number };

function attribute([name, value]: readonly [string, AttributeValue]): AttributeProto {
  if (typeof value === "number") return { name, i: value, type: attributeTypes.int };
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: attributeTypes.string };
  if ("float" in value) return { name, f: value.float, type: attributeTypes.float };
  return { name, ints: value, type: attributeTypes.ints };
}

/** Collects the nodes and constants of a graph. Values are known by name. */
export class GraphWriter {
  #nodes: NodeProto[] = [];
  readonly #constants = new Map<string, TensorProto>();
  /** Names of small constants by content, so that equal ones stand once. */
  readonly #known = new Map<string, string>();
  /** Outputs of the graph by the names that their values had. */
  readonly #outputs = new Map<string, string>();
  #count = 0;

  /** Adds a node and returns the name of its output, or of the one numbered `output`. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = 0,
  ): string {
    const name = `/${opType}_${this.#count++}`; // no key of a checkpoint begins so
    const outputs = Array.from({ length: output + 1 }, (_, i) => (i === output ? name : `${name}_${i}`));
    this.#nodes.push({
      name,
      opType,
      input: inputs,
      output: outputs,
      attribute: Object.entries(attributes).map(attribute),
    });
    return name;
  }

  /** Adds a constant under a name of its own. */
  initializer(name: string, values: HostArray): string {
    this.#constants.set(name, toTensorProto(name, values));
    return name;
  }

  /** A constant; equal small ones share a name. */
  constant(values: HostArray, type?: number): string {
    const { dtype, shape, data } = values;
    const key =
      data.length <= 64 ? `${type ?? dtype}|${shape}|${[...data].map((v) => (Object.is(v, -0) ? "-0" : v))}` : null;
    const known = key === null ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const name = `/constant_${this.#count++}`;
    this.#constants.set(name, toTensorProto(name, values, type));
    if (key !== null) this.#known.set(key, name);
    return name;
  }

  /** An int64 vector, as shapes and axes are. */
  integers(values: readonly number[]): string {
    return this.constant({ dtype: "i32", shape: [values.length], data: Int32Array.from(values) }, int64);
  }

  /** Makes a value the output `name` of the graph: the node that computes it takes the name, if it has no other yet. */
  output(value: string, name: string): void {
    const renamed = this.#outputs.get(value);
    const producer = this.#nodes.find(({ output }) => output?.includes(value));
    if (renamed !== undefined || !producer) {
      this.#nodes.push({ name, opType: "Identity", input: [renamed ?? value], output: [name] });
      return;
    }
    this.#outputs.set(value, name);
    const rename = (list: readonly string[] = []) => list.map((other) => (other === value ? name : other));
    this.#nodes = this.#nodes.map((node) => ({ ...node, input: rename(node.input), output: rename(node.output) }));
  }

  /** The nodes and constants that `outputs` depend on. */
  finish(outputs: readonly string[]): { readonly node: NodeProto[]; readonly initializer: TensorProto[] } {
    const used = new Set(outputs);
    const kept: NodeProto[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!node.output?.some((name) => used.has(name))) continue;
      kept.push(node);
      for (const name of node.input ?? []) used.add(name);
    }
    const initializer = [...this.#constants.values()].filter(({ name = "" }) => used.has(name));
    return { node: kept.reverse(), initializer };
  }
}
