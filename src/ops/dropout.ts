import { ManabiError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { defaultGenerator, type Generator } from "./random.ts";
import { type Tensor, where } from "./tensor.ts";

function checkProbability(op: string, p: number): void {
  if (!(p >= 0 && p <= 1)) throw new ManabiError(`${op}: p is a probability within 0..1, got ${p}`);
}

/** x with each position of `shape`, which broadcasts to x, zeroed with probability p, and the rest divided by 1 - p. */
function drop(x: Tensor, p: number, shape: Shape, generator: Generator): Tensor {
  if (p === 0) return x;
  if (p === 1) return x.mul(0);
  return where(generator.bernoulli(p, shape), 0, x.div(1 - p));
}

/** Each element zeroed with probability p and the rest divided by 1 - p (Srivastava et al. 2014). */
export function dropout(x: Tensor, p = 0.5, generator: Generator = defaultGenerator): Tensor {
  checkProbability("dropout", p);
  return drop(x, p, x.shape, generator);
}

/** `dropout` of whole channels of x [n, c, ..] (Tompson et al. 2015). */
export function channelDropout(x: Tensor, p = 0.5, generator: Generator = defaultGenerator): Tensor {
  checkProbability("channelDropout", p);
  return drop(
    x,
    p,
    x.shape.map((d, axis) => (axis < 2 ? d : 1)),
    generator,
  );
}

/** `dropout` of whole samples of x [n, ..]: stochastic depth of a residual branch (Huang et al. 2016). */
export function dropPath(x: Tensor, p = 0.5, generator: Generator = defaultGenerator): Tensor {
  checkProbability("dropPath", p);
  return drop(
    x,
    p,
    x.shape.map((d, axis) => (axis === 0 ? d : 1)),
    generator,
  );
}
