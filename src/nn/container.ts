import { ManabiError } from "../core/errors.ts";
import type { Tensor } from "../ops/tensor.ts";
import { Module } from "./module.ts";

/** A module from one tensor to one tensor: what Sequential chains. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** Layers applied one after the other; their keys are "0", "1", .. */
export class Sequential extends Module {
  readonly #layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.#layers = layers;
  }

  override *children(): Generator<[name: string, layer: Layer]> {
    for (const [i, layer] of this.#layers.entries()) yield [String(i), layer];
  }
  get length(): number {
    return this.#layers.length;
  }
  /** The layer at a position; negative positions count from the end. */
  at(index: number): Layer | undefined {
    return this.#layers.at(index);
  }
  [Symbol.iterator](): Iterator<Layer> {
    return this.#layers[Symbol.iterator]();
  }
  forward(x: Tensor): Tensor {
    return this.#layers.reduce((y, layer) => layer.forward(y), x);
  }
}

/** Modules by position, with keys "0", "1", ..; whoever holds the list calls them. */
export class ModuleList<M extends Module = Module> extends Module {
  readonly #modules: readonly M[];

  constructor(modules: Iterable<M>) {
    super();
    this.#modules = [...modules];
  }

  override *children(): Generator<[name: string, module: M]> {
    for (const [i, module] of this.#modules.entries()) yield [String(i), module];
  }
  get length(): number {
    return this.#modules.length;
  }
  /** The module at a position; negative positions count from the end. */
  at(index: number): M | undefined {
    return this.#modules.at(index);
  }
  [Symbol.iterator](): Iterator<M> {
    return this.#modules[Symbol.iterator]();
  }
  forward(): never {
    throw new ManabiError("ModuleList: has no forward of its own; call its modules");
  }
}

/** Modules by name; whoever holds the dictionary calls them. */
export class ModuleDict<D extends Readonly<Record<string, Module>> = Record<string, Module>> extends Module {
  readonly #modules: D;

  constructor(modules: D) {
    super();
    this.#modules = { ...modules };
  }

  override *children(): Generator<[name: string, module: Module]> {
    yield* Object.entries(this.#modules);
  }
  get<K extends keyof D>(name: K): D[K] {
    return this.#modules[name];
  }
  forward(): never {
    throw new ManabiError("ModuleDict: has no forward of its own; call its modules");
  }
}

/** The input unchanged. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Axes `start` to `end` joined into one; by default all but the first. */
export class Flatten extends Module {
  readonly start: number;
  readonly end: number;

  constructor(start = 1, end = -1) {
    super();
    this.start = start;
    this.end = end;
  }
  forward(x: Tensor): Tensor {
    return x.flatten(this.start, this.end);
  }
}
