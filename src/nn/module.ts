import { evaluate } from "../backends/evaluate.ts";
import { type DType, type HostArray, isFloat } from "../core/dtype.ts";
import { ManabiError, showShape } from "../core/errors.ts";
import { fold, type Key, seedKey } from "../core/rng.ts";
import { type Shape, sameShape } from "../core/shape.ts";
import { readValues } from "../core/value.ts";
import { activeTrace, guarded } from "../graph/variable.ts";
import { Tensor } from "../ops/tensor.ts";
import { Variable } from "../ops/variable.ts";
import { cast } from "../primitives/elementwise.ts";
import { data, input, inputPrim } from "../primitives/leaf.ts";
import type { Initializer } from "./init.ts";

/** A trainable tensor of a module. It has no values before `initialize(model, seed)` or `loadStateDict`. */
export class Param extends Variable {
  readonly init: Initializer;
  constructor(shape: Shape, init: Initializer, dtype: DType) {
    super(new Tensor(input({ shape, dtype })));
    this.init = init;
  }
}

export interface BufferOptions {
  /** A state without it is complete: it then gets its first value. */
  readonly optional?: boolean;
}

/** A tensor that is saved with a module but not trained, such as running statistics. */
export class Buffer extends Variable {
  readonly init: Initializer;
  readonly optional: boolean;
  constructor(shape: Shape, init: Initializer, dtype: DType, { optional = false }: BufferOptions = {}) {
    super(new Tensor(input({ shape, dtype })));
    this.init = init;
    this.optional = optional;
  }
}

export const param = (shape: Shape, init: Initializer, dtype: DType = "f32"): Param => new Param(shape, init, dtype);
export const buffer = (shape: Shape, init: Initializer, dtype: DType = "f32", options?: BufferOptions): Buffer =>
  new Buffer(shape, init, dtype, options);

/** What `loadStateDict` takes: tensors or host arrays by name. */
export type StateDict = ReadonlyMap<string, Tensor | HostArray>;

export interface LoadOptions {
  /** Missing, extra and misshapen keys are errors (default); false loads what fits and returns the rest. */
  readonly strict?: boolean;
  /** What a key is called where the state comes from, for errors. */
  readonly nameOf?: (key: string) => string;
}

export interface LoadReport {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misshapen: readonly string[];
}

/**
 * A tree of parameters, buffers and child modules: whatever stands in its fields, arrays of modules included. Field
 * names are checkpoint keys, in PyTorch's order.
 */
export abstract class Module {
  #mode = { training: true };

  abstract forward(...inputs: never[]): unknown;

  /** Whether dropout drops and batch normalization takes the statistics of the batch. */
  get training(): boolean {
    return guarded(this.#readMode);
  }
  #readMode = (): boolean => this.#mode.training;

  /** Sets training mode here and in all children. */
  train(training = true): this {
    for (const [, m] of this.namedModules()) m.#mode.training = training;
    return this;
  }
  eval(): this {
    return this.train(false);
  }

  *children(): Generator<[name: string, module: Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [name, value];
      else if (Array.isArray(value))
        for (const [i, v] of value.entries()) if (v instanceof Module) yield [`${name}.${i}`, v];
    }
  }

  /** This module as "", then all below it, parents first. */
  *namedModules(prefix = ""): Generator<[name: string, module: Module]> {
    yield [prefix, this];
    for (const [name, child] of this.children()) yield* child.namedModules(prefix ? `${prefix}.${name}` : name);
  }

  /** Trainable tensors by key. */
  namedParameters(): Generator<[name: string, param: Param]> {
    return own(this, Param);
  }
  namedBuffers(): Generator<[name: string, buffer: Buffer]> {
    return own(this, Buffer);
  }
  parameters(): Param[] {
    return [...this.namedParameters()].map(([, p]) => p);
  }
  /** Number of trainable values. */
  get parameterCount(): number {
    return this.parameters().reduce((n, p) => n + p.size, 0);
  }

  /** Parameters and buffers by key, in PyTorch's order: a module's own first, parameters before buffers, then children. */
  variables(): Map<string, Param | Buffer> {
    const all = new Map<string, Param | Buffer>();
    for (const [prefix, m] of this.namedModules())
      for (const kind of [Param, Buffer] as const)
        for (const [name, value] of Object.entries(m))
          if (value instanceof kind) all.set(prefix ? `${prefix}.${name}` : name, value);
    return all;
  }

  /**
   * Converts all floats among parameters and buffers, here and in all children, for computing in `dtype` throughout.
   * For mixed precision leave them in f32 and use `autocast`. Make optimizers afterwards: they keep state per dtype.
   */
  to(dtype: DType): this {
    if (!isFloat(dtype)) throw new ManabiError(`to: parameters are floats, got ${dtype}`);
    if (activeTrace()) throw new ManabiError("to: a model changes its dtype outside of jitted functions");
    for (const v of this.variables().values()) {
      const { node } = v.cell;
      if (!isFloat(node.dtype) || node.dtype === dtype) continue;
      v.cell.node = node.prim === inputPrim ? input({ shape: node.shape, dtype }) : cast(node, dtype);
      v.cell.shared = true;
      if (v.cell.node.prim !== inputPrim) evaluate([v.cell.node]);
    }
    return this;
  }

  /**
   * Moves the values of all parameters and buffers to host memory, for a backend that computes there. Optimizers and
   * averages follow by `restore(await state())`.
   */
  async toHost(): Promise<this> {
    const all = [...this.variables().values()].filter((v) => v.cell.node.prim !== inputPrim);
    const arrays = await readValues(all, evaluate(all.map((v) => v.cell.node)));
    for (const [i, v] of all.entries()) {
      v.cell.node = data(arrays[i]);
      v.cell.shared = true;
    }
    return this;
  }

  /** The present values by key. */
  stateDict(): Map<string, Tensor> {
    return new Map([...this.variables()].map(([name, v]) => [name, v.value]));
  }

  /** Takes values by key; strict by default, and then nothing is changed unless everything fits. */
  loadStateDict(state: StateDict, { strict = true, nameOf = (key) => key }: LoadOptions = {}): LoadReport {
    const own = this.variables();
    const isOptional = (v: Param | Buffer) => v instanceof Buffer && v.optional;
    const missing = [...own].filter(([k, v]) => !state.has(k) && !isOptional(v)).map(([k]) => nameOf(k));
    const unexpected = [...state.keys()].filter((k) => !own.has(k));
    const misshapen: string[] = [];
    for (const [name, v] of own) {
      const given = state.get(name);
      if (given && !sameShape(given.shape, v.shape))
        misshapen.push(`${nameOf(name)} is ${showShape(given.shape)}, the model has ${showShape(v.shape)}`);
    }
    if (strict && (missing.length || unexpected.length || misshapen.length)) {
      const part = (title: string, list: readonly string[]) =>
        list.length
          ? `\n  ${title}: ${list.slice(0, 12).join("; ")}${list.length > 12 ? `; and ${list.length - 12} more` : ""}`
          : "";
      throw new ManabiError(
        `loadStateDict: the state does not fit ${this.constructor.name}:${part("missing", missing)}${part("unexpected", unexpected)}${part("other shape", misshapen)}\n` +
          (wrapperHint(missing, unexpected) ?? "Pass { strict: false } to load what fits."),
      );
    }
    for (const [name, v] of own) {
      const given = state.get(name) ?? (isOptional(v) ? firstValue(v, seedKey(0)) : undefined);
      if (given && sameShape(given.shape, v.shape)) setValue(v, given);
    }
    return { missing, unexpected, misshapen };
  }
}

/** `fn` with the module and all below it in evaluation mode; each has its own mode back afterwards. */
export function inEvalMode<T>(module: Module, fn: () => T): T {
  const modules = [...module.namedModules()].map(([, m]) => m);
  const modes = modules.map((m) => m.training);
  module.eval();
  try {
    return fn();
  } finally {
    // Parents come first, so a child's own mode has the last word.
    modules.forEach((m, i) => {
      m.train(modes[i]);
    });
  }
}

/** What to do about keys that all begin with a prefix and fit without it, as those of DataParallel do. */
function wrapperHint(missing: readonly string[], unexpected: readonly string[]): string | null {
  const [first] = missing;
  const prefix = unexpected.find((key) => first !== undefined && key.endsWith(`.${first}`))?.slice(0, -first.length);
  if (!prefix || !unexpected.every((key) => key.startsWith(prefix))) return null;
  return `Every key begins with "${prefix}"; read the file with { prefix: "${prefix}" }.`;
}

/** Fields of one kind in a module and all below it. */
function* own<T extends Variable>(
  module: Module,
  kind: abstract new (...args: never[]) => T,
): Generator<[name: string, value: T]> {
  for (const [prefix, m] of module.namedModules())
    for (const [name, value] of Object.entries(m))
      if (value instanceof kind) yield [prefix ? `${prefix}.${name}` : name, value];
}

const firstValue = ({ shape, dtype, init }: Param | Buffer, key: Key): HostArray => ({
  shape,
  dtype,
  data: init(shape, dtype, key),
});

function setValue(v: Variable, given: Tensor | HostArray): void {
  const t =
    given instanceof Tensor ? given : new Tensor(data({ shape: given.shape, dtype: given.dtype, data: given.data }));
  v.assign(t.cast(v.dtype));
  evaluate([v.cell.node]);
}

/** 32-bit FNV-1a: a number for a parameter's path. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

/**
 * Gives every parameter and buffer its first values. The random key of each comes from `seed` and its path, so adding a
 * layer changes no other layer's values. With `wanted`, only those whose names it accepts. Returns the module.
 */
export function initialize<M extends Module>(
  module: M,
  seed: number,
  wanted: (name: string) => boolean = () => true,
): M {
  const key: Key = seedKey(seed);
  for (const [name, v] of module.variables()) if (wanted(name)) setValue(v, firstValue(v, fold(key, hash(name))));
  return module;
}
