import { evaluate } from "../backends/evaluate.ts";
import { computeDType, type DType, filledArray, promote, storeValues } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { activeTrace } from "../graph/variable.ts";
import type { Stateful, StateLayout, StateTree } from "../io/state.ts";
import type { Gradients, Parametrized } from "../ops/grad.ts";
import { fromHost, type Tensor, where } from "../ops/tensor.ts";
import { hostValues, Variable } from "../ops/variable.ts";
import { clipByNorm, clipByValue } from "./clip.ts";
import type { Rule } from "./rules.ts";
import type { GradScaler } from "./scaler.ts";
import { asSchedule, type Schedule } from "./schedule.ts";
import { SkippedUpdates } from "./skipped.ts";
import { layoutOf, restoreVariables, savedStep, stateOf, type VariableTree } from "./state.ts";

/** Settings of some of the parameters. */
export interface ParamGroup {
  /** Which parameters, by key; the first group that matches counts. */
  readonly match: RegExp | ((name: string, param: Tensor) => boolean);
  readonly weightDecay?: number;
  /** Factor on the learning rate. */
  readonly lrScale?: number;
  /** Updates before the first one of these parameters (default 0). Until then they are frozen: their gradients may be
   *  left out, and they stay as they are. Bias corrections of a rule count from there. */
  readonly from?: number;
}

/** Biases and the parameters of normalization layers, all of which have at most one axis, without weight decay. */
export const noDecay: ParamGroup = { match: (_, param) => param.rank <= 1, weightDecay: 0 };

export interface OptimizerOptions {
  readonly groups?: readonly ParamGroup[];
  /** Largest global norm of the gradients; greater ones are scaled down. */
  readonly clipNorm?: number;
  /** Largest magnitude of a gradient's element. */
  readonly clipValue?: number;
  /** Scales the loss; gradients are unscaled before they are clipped, and updates that are not finite are skipped. */
  readonly scaler?: GradScaler;
}

/** Anything with named parameters, or the parameters by name. */
export type Optimizable = Parametrized | Iterable<readonly [name: string, param: Variable]>;

interface Entry {
  readonly name: string;
  readonly param: Variable;
  readonly slots: Readonly<Record<string, Variable>>;
  readonly weightDecay: number;
  /** Position of its pace in the list of all different ones. */
  readonly pace: number;
  /** Whether it may be without a gradient. */
  readonly waits: boolean;
}

/** What the scalars of a rule depend on besides the step. */
interface Pace {
  readonly lrScale: number;
  readonly from: number;
}

/** The optimizer of `parameters` (a module, or variables by name) by a rule such as `sgd({ lr: 0.1 })`. */
export const optimizer = (parameters: Optimizable, rule: Rule, options: OptimizerOptions = {}): Optimizer =>
  new Optimizer(parameters, rule, options);

/**
 * Parameters, the rule that updates them and what it remembers. Parameters of 16 bits are updated in f32, in which
 * the rule's memory is kept, and rounded when they are stored.
 *
 * The count of steps lives on the host. Learning rate and bias corrections of a step are worked out there in f64 and
 * enter a jitted step as an input, so any function can be a schedule, `lr` is readable without waiting for the device,
 * nothing is lost to f32, and a restored count goes on exactly.
 */
export class Optimizer implements Stateful {
  readonly rule: Rule;
  readonly #options: OptimizerOptions;
  readonly #entries: readonly Entry[];
  readonly #schedule: Schedule;
  readonly #paces: readonly Pace[];
  readonly #dtype: DType;
  readonly #skipped = new SkippedUpdates();
  #step = 0;

  constructor(parameters: Optimizable, rule: Rule, options: OptimizerOptions) {
    const paces: Pace[] = [];
    this.#entries = namedVariables(parameters).map(([name, param]): Entry => {
      const group = options.groups?.find(({ match }) =>
        match instanceof RegExp ? match.test(name) : match(name, param),
      );
      const { weightDecay = rule.weightDecay, lrScale = 1, from = 0 } = group ?? {};
      if (!Number.isInteger(from) || from < 0)
        throw new ManabiError(`optimizer: a group's "from" is ${from}; it must be an integer >= 0`);
      const known = paces.findIndex((pace) => pace.lrScale === lrScale && pace.from === from);
      const pace = known < 0 ? paces.push({ lrScale, from }) - 1 : known;
      const slots = rule.slots.map((slot) => [slot, filled(param, rule.initial ?? 0)]);
      return { name, param, slots: Object.fromEntries(slots), weightDecay, pace, waits: from > 0 };
    });
    if (this.#entries.length === 0) throw new ManabiError("optimizer: there are no parameters to optimize");
    this.rule = rule;
    this.#options = options;
    this.#schedule = asSchedule(rule.lr);
    this.#paces = paces;
    this.#dtype = this.#entries.map(({ param }) => computeDType(param.dtype)).reduce(promote);
  }

  /** Updates so far, those included that a scaler has had skipped. */
  get step(): number {
    return this.#step;
  }
  /** The learning rate of the latest update; before the first one, the rate it will have. */
  get lr(): number {
    return this.#schedule(Math.max(0, this.#step - 1));
  }

  /** The loss to differentiate: times the scale, if there is a scaler. */
  scaled(loss: Tensor): Tensor {
    return this.#options.scaler?.scale(loss) ?? loss;
  }

  /** One step of the rule for every parameter, but for those that wait (`ParamGroup.from`) and have no gradient. Inside
   *  of `jit` it becomes part of the program, else it is done now. */
  update(grads: Gradients): void {
    const { rule } = this;
    const { scaler } = this.#options;
    const [unscaled, finite] = scaler?.unscale(this.#own(grads)) ?? [this.#own(grads), null];
    const own = this.#clip(unscaled);
    const set = (v: Variable, next: Tensor) => v.assign(finite ? where(finite, next, v.value) : next);
    const scalars = this.#scalars();
    const entries = this.#entries.filter(({ name }) => own.has(name));
    const next = entries.map(({ name, param, slots, weightDecay, pace }) =>
      rule.step({
        p: param.value.cast(computeDType(param.dtype)),
        g: own.get(name) as Tensor,
        decay: weightDecay,
        slots: Object.fromEntries(Object.entries(slots).map(([slot, v]) => [slot, v.value])),
        scalars: scalars(pace, computeDType(param.dtype)),
      }),
    );
    entries.forEach(({ param, slots }, i) => {
      set(param, next[i].p);
      for (const [slot, value] of Object.entries(next[i].slots)) set(slots[slot], value);
    });
    if (scaler && finite) {
      this.#skipped.count.assign(this.#skipped.count.add(finite.not().cast("i32")));
      scaler.update(finite);
    }
    // Outside of a trace the step is computed at once: left lazy, it would hang on the graphs of all steps before.
    if (!activeTrace())
      evaluate(
        [this.#skipped.count, ...entries.flatMap(({ param, slots }) => [param, ...Object.values(slots)])].map(
          (v) => v.cell.node,
        ),
      );
  }

  /** The gradients of this optimizer's parameters, those of 16 bits as f32. */
  #own(grads: Gradients): Gradients {
    return new Map(
      this.#entries.flatMap(({ name, waits }) => {
        const g = grads.get(name);
        if (!g && waits) return [];
        if (!g)
          throw new ManabiError(
            `optimizer: no gradient for parameter "${name}"; pass the gradients of the module that the optimizer was made ` +
              `for (these have ${[...grads.keys()].slice(0, 3).join(", ") || "none"}, ..)`,
          );
        return [[name, g.cast(computeDType(g.dtype))]];
      }),
    );
  }

  #clip(grads: Gradients): Gradients {
    const { clipNorm, clipValue } = this.#options;
    const clamped = clipValue === undefined ? grads : clipByValue(grads, clipValue);
    return clipNorm === undefined ? clamped : clipByNorm(clamped, clipNorm)[0];
  }

  /** The rule's scalars of this step, by pace and dtype: one small host-fed table, with a row for every count of skipped
   *  updates that there may be. */
  #scalars(): (pace: number, dtype: DType) => Record<string, Tensor> {
    const names = Object.keys(this.rule.scalars(1, 0));
    const width = this.#paces.length * names.length;
    const rows = this.#options.scaler ? this.#skipped.candidates : 1;
    let least = 0;
    const table = hostValues({ shape: rows === 1 ? [width] : [rows, width], dtype: this.#dtype }, () => {
      if (this.#options.scaler) least = this.#skipped.least(this.#step);
      const lr = this.#schedule(this.#step++);
      // The schedule follows the course of training, the rule's corrections the updates that were done.
      const done = Array.from({ length: rows }, (_, row) => this.#step - least - row);
      return storeValues(
        done.flatMap((t) =>
          this.#paces.flatMap(({ lrScale, from }) =>
            Object.values(this.rule.scalars(Math.max(1, t - from), lr * lrScale)),
          ),
        ),
        this.#dtype,
      );
    });
    const row = () => this.#skipped.count.sub(hostValues({ shape: [], dtype: "i32" }, () => Int32Array.of(least)));
    const values = rows === 1 ? table : table.take(row());
    return (pace, dtype) =>
      Object.fromEntries(names.map((name, i) => [name, values.select(0, pace * names.length + i).cast(dtype)]));
  }

  /** Step count, slots by parameter, and the scaler if there is one; the parameters are the model's state. */
  async state(): Promise<StateTree> {
    const step = this.#step;
    return { rule: this.rule.name, step, ...(await stateOf(this.#saved())) };
  }
  layout(): StateLayout {
    return { rule: this.rule.name, step: this.#step, ...layoutOf(this.#saved()) };
  }
  restore(state: StateTree): void {
    const { rule, step } = state;
    if (rule !== this.rule.name)
      throw new ManabiError(`optimizer: the state is of rule "${rule}", this optimizer's is "${this.rule.name}"`);
    const saved = savedStep("optimizer", step);
    restoreVariables("optimizer", this.#saved(), state);
    this.#step = saved;
  }
  #saved(): VariableTree {
    const slots = Object.fromEntries(this.#entries.map(({ name, slots }) => [name, slots]));
    const { scaler } = this.#options;
    return scaler ? { slots, scaler: { ...scaler.variables(), skipped: this.#skipped.count } } : { slots };
  }
}

function namedVariables(parameters: Optimizable): [name: string, param: Variable][] {
  const named = "namedParameters" in parameters ? parameters.namedParameters() : parameters;
  return [...named].map(([name, param]) => {
    if (!(param instanceof Variable)) throw new ManabiError(`optimizer: "${name}" is no variable and cannot change`);
    return [name, param];
  });
}

/** A variable of the shape of `param`, in the dtype of its updates, with one value everywhere. */
function filled({ shape, dtype: own }: Variable, value: number): Variable {
  const dtype = computeDType(own);
  return new Variable(fromHost({ shape, dtype, data: filledArray(sizeOf(shape), dtype, value) }));
}
