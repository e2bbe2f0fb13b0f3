import { evaluate } from "../backends/evaluate.ts";
import { computeDType, isFloat, promote, storeValues } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { activeTrace } from "../graph/variable.ts";
import type { Stateful, StateLayout, StateTree } from "../io/state.ts";
import type { Parametrized } from "../ops/grad.ts";
import { hostValues, Variable } from "../ops/variable.ts";
import { asSchedule, type Rate, type Schedule } from "./schedule.ts";
import { layoutOf, restoreVariables, savedStep, stateOf, type VariableTree } from "./state.ts";

/** What can be averaged: parameters, and running statistics where there are any. */
export interface Averageable extends Parametrized {
  namedBuffers?(): Iterable<readonly [string, Variable]>;
}

/**
 * Running average of a model: after each update, average = decay * average + (1 - decay) * value, for parameters and for
 * running statistics; averages of 16-bit floats are f32. `decay` may be a function of the update's number, counted from 0.
 */
export const ema = (model: Averageable, decay: Rate): Ema => new Ema(model, decay);

export class Ema implements Stateful {
  readonly #decay: Schedule;
  readonly #pairs: readonly { readonly name: string; readonly value: Variable; readonly average: Variable }[];
  #step = 0;
  #swapped = false;

  constructor(model: Averageable, decay: Rate) {
    this.#decay = asSchedule(decay);
    this.#pairs = [...model.namedParameters(), ...(model.namedBuffers?.() ?? [])].flatMap(([name, value]) => {
      if (!(value instanceof Variable)) throw new ManabiError(`ema: "${name}" is no variable`);
      return isFloat(value.dtype)
        ? [{ name, value, average: new Variable(value.value.cast(computeDType(value.dtype))) }]
        : [];
    });
  }

  /** Takes the present values into the average; after the optimizer's update, in the same `jit`. */
  update(): void {
    const dtype = this.#pairs.map(({ average }) => average.dtype).reduce(promote);
    // 1 - decay is worked out in f64: in f32 little would be left of its digits.
    const share = hostValues({ shape: [], dtype }, () => {
      this.#mustNotBeSwapped("update");
      return storeValues([1 - this.#decay(this.#step++)], dtype);
    });
    for (const { value, average } of this.#pairs)
      average.assign(average.add(value.sub(average).mul(share.cast(average.dtype))));
    if (!activeTrace()) evaluate(this.#pairs.map(({ average }) => average.cell.node));
  }

  /** `fn` with the averages in the place of the model's values, which come back afterwards. */
  async apply<T>(fn: () => T | Promise<T>): Promise<T> {
    this.#mustNotBeSwapped("apply");
    const own = this.#pairs.map(({ value }) => value.value);
    this.#swapped = true;
    for (const { value, average } of this.#pairs) value.assign(average.value);
    try {
      return await fn();
    } finally {
      for (const [i, { value }] of this.#pairs.entries()) value.assign(own[i]);
      this.#swapped = false;
    }
  }

  #mustNotBeSwapped(verb: string): void {
    if (this.#swapped)
      throw new ManabiError(`ema: ${verb} inside of apply(), where the averages are the model's values`);
  }

  async state(): Promise<StateTree> {
    this.#mustNotBeSwapped("state");
    const step = this.#step;
    return { step, averages: await stateOf(this.#averages()) };
  }
  layout(): StateLayout {
    return { step: this.#step, averages: layoutOf(this.#averages()) };
  }
  restore({ step, averages }: StateTree): void {
    const saved = savedStep("ema", step);
    restoreVariables("ema", this.#averages(), averages);
    this.#step = saved;
  }
  #averages(): VariableTree {
    return Object.fromEntries(this.#pairs.map(({ name, average }) => [name, average]));
  }
}
