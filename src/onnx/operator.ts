import { reference } from "../backends/reference/index.ts";
import { loadValues } from "../core/dtype.ts";
import { reachable } from "../graph/node.ts";
import { ManabiError, type Tensor } from "../index.ts";
import { inputPrim } from "../primitives/leaf.ts";
import type { AttributeProto, NodeProto, TensorProto } from "./schema.ts";

/** Attributes of a node by name. */
export class Attributes {
  readonly #what: string;
  readonly #all: ReadonlyMap<string, AttributeProto>;

  constructor(what: string, list: readonly AttributeProto[] = []) {
    this.#what = what;
    this.#all = new Map(list.map((attribute) => [attribute.name ?? "", attribute]));
  }

  has(name: string): boolean {
    return this.#all.has(name);
  }
  int(name: string, otherwise: number): number {
    return this.#all.has(name) ? (this.#all.get(name)?.i ?? 0) : otherwise;
  }
  float(name: string, otherwise: number): number {
    return this.#all.has(name) ? (this.#all.get(name)?.f ?? 0) : otherwise;
  }
  text(name: string, otherwise: string): string {
    const found = this.#all.get(name)?.s;
    return found ? new TextDecoder().decode(found) : otherwise;
  }
  ints(name: string): readonly number[] | undefined {
    return this.#all.has(name) ? (this.#all.get(name)?.ints ?? []) : undefined;
  }
  floats(name: string): readonly number[] | undefined {
    return this.#all.has(name) ? (this.#all.get(name)?.floats ?? []) : undefined;
  }
  tensor(name: string): TensorProto | undefined {
    return this.#all.get(name)?.t;
  }
  /** Throws where an attribute has a value that is not carried out. */
  only(name: string, value: number | string, allowed: readonly (number | string)[]): void {
    if (!allowed.includes(value))
      throw new ManabiError(`${this.#what}: ${name} = ${value} is not supported; ${allowed.join(", ")} is`);
  }
}

/** One node as an operator sees it. */
export interface Call {
  /** Operator and name of the node, for errors. */
  readonly what: string;
  /** Left out ones are null. */
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs: Attributes;
  /** Version of the operator set. */
  readonly opset: number;
  readonly outputs: readonly string[];
}

/** What an operator computes: its outputs, or its only one. */
export type Operator = (call: Call) => Tensor | readonly Tensor[];

/** Input `i` of a call. Throws where it is left out. */
export function need({ what, inputs }: Call, i: number): Tensor {
  const found = inputs[i];
  if (!found) throw new ManabiError(`${what}: input ${i} is missing`);
  return found;
}

/**
 * The numbers of a tensor that is known without the inputs of the model, such as a shape or axes. They are worked out
 * by the reference backend, which needs no compiling, and also while a step is recorded.
 */
export function numbers({ what }: Call, tensor: Tensor): number[] {
  const { node, dtype } = tensor;
  if (reachable([node]).some(({ prim }) => prim === inputPrim))
    throw new ManabiError(`${what}: shapes and axes that depend on the values of an input are not supported`);
  const [values] = reference.compile({ inputs: [], outputs: [node], updates: [] }).run([]);
  return Array.from(loadValues(values, dtype));
}

/** Axes or the like, from input `i`, or, as before the operator set moved them there, from an attribute. */
export function numbersAt(call: Call, i: number, attribute: string): readonly number[] | undefined {
  const given = call.inputs[i];
  return given ? numbers(call, given) : call.attrs.ints(attribute);
}

/** Operator and name of a node. */
export const describe = ({ opType, name, output = [] }: NodeProto): string => `${opType} "${name || output[0]}"`;
