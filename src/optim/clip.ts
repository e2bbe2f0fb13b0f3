import { computeDType } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import type { Gradients } from "../ops/grad.ts";
import type { Tensor } from "../ops/tensor.ts";

const mapGradients = (grads: Gradients, fn: (g: Tensor) => Tensor): Gradients =>
  new Map([...grads].map(([name, g]) => [name, fn(g)]));

function checkLimit(name: string, limit: number): void {
  if (!(limit > 0)) throw new ManabiError(`${name}: the limit is ${limit}; it must be above 0`);
}

/** The Euclidean norm of all gradients as one vector, a scalar. */
export function globalNorm(grads: Gradients): Tensor {
  // The squares of f16 would overflow beyond 256.
  const squares = [...grads.values()].map((g) => g.cast(computeDType(g.dtype)).square().sum());
  if (squares.length === 0) throw new ManabiError("globalNorm: there are no gradients");
  return squares.reduce((a, b) => a.add(b)).sqrt();
}

/** Gradients scaled down so that their global norm is at most `maxNorm`, and the norm before (Pascanu et al. 2013). */
export function clipByNorm(grads: Gradients, maxNorm: number): [clipped: Gradients, norm: Tensor] {
  checkLimit("clipByNorm", maxNorm);
  const norm = globalNorm(grads);
  const factor = norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1);
  return [mapGradients(grads, (g) => g.mul(factor.cast(g.dtype))), norm];
}

/** Every element of every gradient clamped to [-limit, limit]. */
export function clipByValue(grads: Gradients, limit: number): Gradients {
  checkLimit("clipByValue", limit);
  return mapGradients(grads, (g) => g.clamp(-limit, limit));
}
