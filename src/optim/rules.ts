import type { Tensor } from "../ops/tensor.ts";
import { where } from "../ops/tensor.ts";
import type { Rate } from "./schedule.ts";

/** What a rule sees of one parameter at one step. */
export interface RuleStep {
  readonly p: Tensor;
  /** Gradient, clipped. */
  readonly g: Tensor;
  /** Weight decay of this parameter. */
  readonly decay: number;
  readonly slots: Readonly<Record<string, Tensor>>;
  /** What `scalars` gave for this step, of the parameter's dtype. */
  readonly scalars: Readonly<Record<string, Tensor>>;
}

/** One optimization method: what it remembers for each parameter, and one step of it. */
export interface Rule {
  readonly name: string;
  readonly lr: Rate;
  readonly weightDecay: number;
  /** Tensors of the parameter's shape that live from step to step. */
  readonly slots: readonly string[];
  /** Their first value; 0 unless given. */
  readonly initial?: number;
  /** Numbers of step t = 1, 2, .. at rate `lr`, worked out by the host in f64. */
  scalars(t: number, lr: number): Readonly<Record<string, number>>;
  /** The next value of the parameter and of its slots. */
  step(context: RuleStep): { readonly p: Tensor; readonly slots: Readonly<Record<string, Tensor>> };
}

interface RuleOptions {
  readonly lr: Rate;
  readonly weightDecay?: number;
}

/** Weight decay as a term of the gradient (L2). */
const decayed = ({ p, g, decay }: { p: Tensor; g: Tensor; decay: number }): Tensor => (decay ? g.add(p.mul(decay)) : g);

/** The running mean of `x`. */
const average = (mean: Tensor, x: Tensor, beta: number): Tensor => mean.mul(beta).add(x.mul(1 - beta));

export interface SgdOptions extends RuleOptions {
  readonly momentum?: number;
  /** Part of the gradient that does not enter the momentum, from the second step on. */
  readonly dampening?: number;
  readonly nesterov?: boolean;
}

/** Stochastic gradient descent with momentum (Sutskever et al. 2013, in PyTorch's form). */
export function sgd({ lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 }: SgdOptions): Rule {
  return {
    name: "sgd",
    lr,
    weightDecay,
    slots: momentum ? ["momentum"] : [],
    scalars: (t, lr) => ({ lr, share: t === 1 ? 1 : 1 - dampening }),
    step({ slots, scalars: { lr, share }, ...context }) {
      const { p } = context;
      const g = decayed(context);
      if (!momentum) return { p: p.sub(lr.mul(g)), slots };
      const m = slots.momentum.mul(momentum).add(dampening ? share.mul(g) : g);
      return { p: p.sub(lr.mul(nesterov ? g.add(m.mul(momentum)) : m)), slots: { momentum: m } };
    },
  };
}

export interface AdamOptions extends RuleOptions {
  /** Decay of the running means of the gradient and of its square. */
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  /** Divides by the largest second moment so far (Reddi et al. 2018). */
  readonly amsgrad?: boolean;
}

/** Factors that undo the bias of running means which started at zero. */
const unbiased = (t: number, [beta1, beta2]: readonly [number, number]) => ({
  scale1: 1 / (1 - beta1 ** t),
  scale2: 1 / (1 - beta2 ** t),
});

/** Adam and AdamW, which differ in how weight decay acts. */
function adamLike(name: string, decoupled: boolean, options: AdamOptions, weightDecay: number): Rule {
  const { lr, betas = [0.9, 0.999], eps = 1e-8, amsgrad = false } = options;
  const [beta1, beta2] = betas;
  return {
    name,
    lr,
    weightDecay,
    slots: amsgrad ? ["m", "v", "vMax"] : ["m", "v"],
    scalars: (t, lr) => {
      const { scale1, scale2 } = unbiased(t, betas);
      return { lr, stepSize: lr * scale1, root: Math.sqrt(scale2) };
    },
    step({ slots, scalars: { lr, stepSize, root }, ...context }) {
      const { p, decay } = context;
      const g = decoupled ? context.g : decayed(context);
      const m = average(slots.m, g, beta1);
      const v = average(slots.v, g.square(), beta2);
      const next: Record<string, Tensor> = { m, v };
      if (amsgrad) next.vMax = slots.vMax.maximum(v);
      const power = next.vMax ?? v;
      const kept = decoupled && decay ? p.sub(lr.mul(decay).mul(p)) : p;
      return { p: kept.sub(stepSize.mul(m).div(power.sqrt().mul(root).add(eps))), slots: next };
    },
  };
}

/** Adam (Kingma and Ba 2015); weight decay is a term of the gradient. */
export const adam = ({ weightDecay = 0, ...options }: AdamOptions): Rule =>
  adamLike("adam", false, options, weightDecay);

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019). */
export const adamW = ({ weightDecay = 0.01, ...options }: AdamOptions): Rule =>
  adamLike("adamW", true, options, weightDecay);

export interface RmspropOptions extends RuleOptions {
  /** Decay of the running mean of the squared gradient. */
  readonly alpha?: number;
  readonly eps?: number;
  readonly momentum?: number;
  /** Divides by the deviation of the gradient in place of its root mean square (Graves 2013). */
  readonly centered?: boolean;
}

/** RMSprop (Hinton 2012). */
export function rmsprop(options: RmspropOptions): Rule {
  const { lr, alpha = 0.99, eps = 1e-8, momentum = 0, centered = false, weightDecay = 0 } = options;
  return {
    name: "rmsprop",
    lr,
    weightDecay,
    slots: ["v", ...(centered ? ["mean"] : []), ...(momentum ? ["momentum"] : [])],
    scalars: (_, lr) => ({ lr }),
    step({ slots, scalars: { lr }, ...context }) {
      const { p } = context;
      const g = decayed(context);
      const next: Record<string, Tensor> = { v: average(slots.v, g.square(), alpha) };
      if (centered) next.mean = average(slots.mean, g, alpha);
      const power = centered ? next.v.sub(next.mean.square()) : next.v;
      let update = g.div(power.sqrt().add(eps));
      if (momentum) update = next.momentum = slots.momentum.mul(momentum).add(update);
      return { p: p.sub(lr.mul(update)), slots: next };
    },
  };
}

export interface AdagradOptions extends RuleOptions {
  /** The rate of step t is lr / (1 + (t - 1) lrDecay). */
  readonly lrDecay?: number;
  readonly initialAccumulatorValue?: number;
  readonly eps?: number;
}

/** Adagrad (Duchi et al. 2011). */
export function adagrad(options: AdagradOptions): Rule {
  const { lr, lrDecay = 0, weightDecay = 0, initialAccumulatorValue = 0, eps = 1e-10 } = options;
  return {
    name: "adagrad",
    lr,
    weightDecay,
    slots: ["sum"],
    initial: initialAccumulatorValue,
    scalars: (t, lr) => ({ lr: lr / (1 + (t - 1) * lrDecay) }),
    step({ slots, scalars: { lr }, ...context }) {
      const g = decayed(context);
      const sum = slots.sum.add(g.square());
      return { p: context.p.sub(lr.mul(g).div(sum.sqrt().add(eps))), slots: { sum } };
    },
  };
}

export interface LambOptions extends RuleOptions {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
}

const norm = (x: Tensor): Tensor => x.square().sum().sqrt();

/** LAMB (You et al. 2020, algorithm 2): Adam whose step is scaled by |p| / |step| for each tensor, for large batches. */
export function lamb({ lr, betas = [0.9, 0.999], eps = 1e-6, weightDecay = 0 }: LambOptions): Rule {
  const [beta1, beta2] = betas;
  return {
    name: "lamb",
    lr,
    weightDecay,
    slots: ["m", "v"],
    scalars: (t, lr) => ({ lr, ...unbiased(t, betas) }),
    step({ p, g, decay, slots, scalars: { lr, scale1, scale2 } }) {
      const m = average(slots.m, g, beta1);
      const v = average(slots.v, g.square(), beta2);
      const direction = scale1.mul(m).div(scale2.mul(v).sqrt().add(eps));
      const update = decay ? direction.add(p.mul(decay)) : direction;
      const [ofP, ofUpdate] = [norm(p), norm(update)];
      const trust = where(ofP.gt(0).and(ofUpdate.gt(0)), ofP.div(ofUpdate), 1);
      return { p: p.sub(lr.mul(trust).mul(update)), slots: { m, v } };
    },
  };
}
