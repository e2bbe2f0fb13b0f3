import { evaluate } from "../backends/evaluate.ts";
import { computeDType } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { activeTrace } from "../graph/variable.ts";
import type { Stateful, StateLayout, StateTree } from "../io/state.ts";
import type { Gradients } from "../ops/grad.ts";
import { type Tensor, tensor, where } from "../ops/tensor.ts";
import { type Variable, variable } from "../ops/variable.ts";
import { layoutOf, restoreVariables, stateOf, type VariableTree } from "./state.ts";

export interface GradScalerOptions {
  /** First factor on the loss. */
  readonly initScale?: number;
  /** Factor on the scale after `growthInterval` updates in a row with finite gradients. */
  readonly growthFactor?: number;
  /** Factor on the scale after gradients that are not finite. */
  readonly backoffFactor?: number;
  readonly growthInterval?: number;
}

/** A scale of the loss for training in f16, with torch.amp.GradScaler's defaults. */
export const gradScaler = (options: GradScalerOptions = {}): GradScaler => new GradScaler(options);

/**
 * Dynamic loss scaling (Micikevicius et al. 2018, arXiv:1710.03740): small gradients would vanish in f16, so the loss is
 * multiplied by a scale, and the gradients are divided by it before they are used. If any of them has overflowed, the
 * update is skipped and the scale falls; after a while without, it grows. Give it to `optimizer(model, rule, { scaler })`,
 * one to each, and differentiate `opt.scaled(loss)`. All of it is part of the jitted step.
 */
export class GradScaler implements Stateful {
  readonly #options: Required<GradScalerOptions>;
  readonly #scale: Variable;
  /** Updates with finite gradients since the scale has changed. */
  readonly #growthTracker: Variable;

  constructor(options: GradScalerOptions) {
    const { initScale = 2 ** 16, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
    if (!(initScale > 0)) throw new ManabiError(`gradScaler: initScale is ${initScale}; it must be above 0`);
    if (!(growthFactor > 1)) throw new ManabiError(`gradScaler: growthFactor is ${growthFactor}; it must be above 1`);
    if (!(backoffFactor > 0 && backoffFactor < 1))
      throw new ManabiError(`gradScaler: backoffFactor is ${backoffFactor}; it must be between 0 and 1`);
    if (!(Number.isInteger(growthInterval) && growthInterval > 0))
      throw new ManabiError(`gradScaler: growthInterval is ${growthInterval}; it must be an integer above 0`);
    this.#options = { initScale, growthFactor, backoffFactor, growthInterval };
    this.#scale = variable(initScale);
    this.#growthTracker = variable(tensor(0, { dtype: "i32" }));
  }

  /** The present scale, f32 []. */
  get value(): Tensor {
    return this.#scale.value;
  }

  /** A loss to differentiate: times the scale. */
  scale(loss: Tensor): Tensor {
    return loss.mul(this.value);
  }

  /** Gradients of a scaled loss divided by the scale, at least f32, and whether all are finite, bool []. */
  unscale(grads: Gradients): [unscaled: Gradients, finite: Tensor] {
    const inverse = this.value.reciprocal();
    const unscaled = [...grads].map(([name, g]) => {
      const dtype = computeDType(g.dtype);
      return [name, g.cast(dtype).mul(inverse.cast(dtype))] as const;
    });
    const finite = [...grads.values()].map((g) => g.abs().lt(Number.POSITIVE_INFINITY).all());
    if (finite.length === 0) throw new ManabiError("gradScaler: there are no gradients");
    return [new Map(unscaled), finite.reduce((a, b) => a.and(b))];
  }

  /** Moves the scale on after gradients that were finite or not. */
  update(finite: Tensor): void {
    const { growthFactor, backoffFactor, growthInterval } = this.#options;
    const scale = this.#scale.value;
    const good = this.#growthTracker.add(1);
    const due = good.eq(growthInterval);
    const grown = scale.mul(growthFactor);
    const next = where(due.and(grown.lt(Number.POSITIVE_INFINITY)), grown, scale);
    this.#scale.assign(where(finite, next, scale.mul(backoffFactor)));
    this.#growthTracker.assign(where(finite.and(due.not()), good, 0));
    if (!activeTrace()) evaluate([this.#scale.cell.node, this.#growthTracker.cell.node]);
  }

  state(): Promise<StateTree> {
    return stateOf(this.variables());
  }
  layout(): StateLayout {
    return layoutOf(this.variables());
  }
  restore(state: StateTree): void {
    restoreVariables("gradScaler", this.variables(), state);
  }
  /** What a checkpoint keeps. */
  variables(): VariableTree {
    return { scale: this.#scale, growthTracker: this.#growthTracker };
  }
}
