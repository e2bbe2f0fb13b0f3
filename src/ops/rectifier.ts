import { type Tensor, where } from "./tensor.ts";

type Unary = (x: Tensor) => Tensor;

/** max(x, 0); the gradient at 0 is 0. */
export const positivePart: Unary = (x) => where(x.le(0), 0, x);

let output: Unary | null = null;

/** `fn` as an activation that `withRectifiers` reaches. */
export const rectifier =
  (fn: Unary): Unary =>
  (x) =>
    output ? output(fn(x)) : fn(x);

/** Runs `fn` while the output of every `relu` and `relu6`, wherever a model calls it, is passed through `pass`: an
 *  identity with a gradient of its own changes what flows back into rectifiers. */
export function withRectifiers<T>(pass: Unary, fn: () => T): T {
  const outer = output;
  output = pass;
  try {
    return fn();
  } finally {
    output = outer;
  }
}
