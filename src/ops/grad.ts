import { checkpointed } from "../autodiff/checkpoint.ts";
import { backward } from "../autodiff/vjp.ts";
import { recording } from "../backends/evaluate.ts";
import { isFloat } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import type { Node } from "../graph/node.ts";
import { substitute } from "../graph/rewrite.ts";
import { barrier, customVjp as customNode, stopGradient as stopNode } from "../primitives/control.ts";
import { constantLike, input } from "../primitives/leaf.ts";
import { autocast } from "./autocast.ts";
import { Tensor } from "./tensor.ts";
import { leaves, rebuild, type Tree } from "./tree.ts";

/** Something with named parameters, such as a Module. */
export interface Parametrized {
  namedParameters(): Iterable<readonly [string, Tensor]>;
}

/** Gradients of a module by parameter name. */
export type Gradients = ReadonlyMap<string, Tensor>;

type GradientsOf<T> = T extends Parametrized ? Gradients : T;
type Loss = Tensor | readonly [Tensor, ...Tree[]];

const isParametrized = (x: object): x is Parametrized =>
  typeof (x as Partial<Parametrized>).namedParameters === "function";

/** A leaf of its own for each argument, so that only what goes through the argument is differentiated. */
const asArguments = <T extends Tree>(tree: T): T =>
  rebuild(
    tree,
    leaves(tree).map((t) => new Tensor(barrier(t.node, []))),
  );

function pullback(out: Tensor, ct: Node, wrt: readonly Tensor[]): Tensor[] {
  for (const x of wrt)
    if (!isFloat(x.dtype))
      throw new ManabiError(`grad: cannot differentiate by a tensor of dtype ${x.dtype}; use floats`);
  const nodes = wrt.map((x) => x.node);
  // Gradients have the dtypes of what was computed; autocast has had its say then.
  return autocast("none", () => backward([out.node], [ct], nodes)).map(
    (ct, i) => new Tensor(ct ?? constantLike(nodes[i], 0)),
  );
}

function differentiate(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.size !== 1)
    throw new ShapeError(
      `grad: the function must return a scalar loss, it returned ${showShape(loss.shape)}; use .mean() or vjp()`,
    );
  if (!isFloat(loss.dtype)) throw new ManabiError(`grad: the loss must be a float, it is ${loss.dtype}`);
  return pullback(loss, constantLike(loss.node, 1), wrt);
}

/**
 * The value of `fn(target)` and its gradients: by name for a module, else in the form of `target`.
 * `fn` returns a scalar loss, or an array whose first entry is the loss and whose rest is handed through.
 */
export function valueAndGrad<T extends Parametrized | Tree, L extends Loss>(
  target: T,
  fn: (target: T) => L,
): [value: L, gradients: GradientsOf<T>] {
  return recording(() => {
    const lossOf = (value: L): Tensor => (value instanceof Tensor ? value : (value as readonly [Tensor])[0]);
    if (isParametrized(target)) {
      const named = [...target.namedParameters()];
      // Parameters are read before `fn` may assign to them.
      const before = named.map(([, p]) => new Tensor(p.node));
      const value = fn(target);
      const grads = differentiate(lossOf(value), before);
      const byName: Gradients = new Map(named.map(([name], i) => [name, grads[i]]));
      return [value, byName as GradientsOf<T>];
    }
    const own = asArguments(target as Tree);
    const value = fn(own as T);
    const grads = differentiate(lossOf(value), leaves(own));
    return [value, rebuild(own, grads) as GradientsOf<T>];
  });
}

/** The function that computes the gradient of a scalar function by its first argument, in that argument's form. */
export function grad<T extends Tree, R extends readonly unknown[]>(
  fn: (x: T, ...rest: R) => Tensor,
): (x: T, ...rest: R) => T {
  return (x, ...rest) => valueAndGrad(x as Tree, (own) => fn(own as T, ...rest))[1] as T;
}

/** `fn(...primals)` and the function that maps a cotangent of it to cotangents of the primals. */
export function vjp(
  fn: (...primals: Tensor[]) => Tensor,
  ...primals: readonly Tensor[]
): [out: Tensor, pull: (cotangent: Tensor) => Tensor[]] {
  return recording(() => {
    const own = asArguments(primals) as readonly Tensor[];
    const out = fn(...own);
    // Built now, because a value that is read later no longer knows what it was computed from.
    const placeholder = input(out);
    const pulled = pullback(out, placeholder, own).map((t) => t.node);
    return [
      out,
      (ct) => {
        if (!sameShape(ct.shape, out.shape) || ct.dtype !== out.dtype)
          throw new ShapeError(
            `vjp: the cotangent is ${ct.dtype}${showShape(ct.shape)}, the output ${out.dtype}${showShape(out.shape)}`,
          );
        return substitute(pulled, new Map([[placeholder, ct.node]])).map((n) => new Tensor(n));
      },
    ];
  });
}

/** The same value, through which no gradient flows. */
export const stopGradient = (x: Tensor): Tensor => new Tensor(stopNode(x.node));

/** One cotangent or null for each of a function's inputs. */
type CotangentsOf<A extends readonly Tensor[]> = { readonly [K in keyof A]: Tensor | null };

/**
 * `fn` with a gradient of its own: `rule` maps the cotangent of the output, the output and the inputs to cotangents of
 * the inputs. The rule is made of ordinary operations, so it differentiates again, and may use tensors only through its
 * argument.
 */
export function customVjp<A extends readonly Tensor[]>(
  fn: (...inputs: A) => Tensor,
  rule: (context: { readonly ct: Tensor; readonly out: Tensor; readonly inputs: A }) => CotangentsOf<A>,
): (...inputs: A) => Tensor {
  return (...args) =>
    new Tensor(
      customNode(
        fn(...args).node,
        args.map((x) => x.node),
        {
          rule({ ct, out, inputs }) {
            const own = inputs.map((x) => new Tensor(x)) as readonly Tensor[] as A;
            const cts = rule({ ct: new Tensor(ct), out: new Tensor(out), inputs: own });
            // An operand of 16 bits may have met an f32 one, whose dtype its cotangent then has.
            return cts.map((t, i) => t?.cast(inputs[i].dtype).node ?? null);
          },
        },
      ),
    );
}

/**
 * `fn` whose intermediate values are not kept for the gradient but computed again when it needs them: less memory for
 * one more forward pass (Chen et al. 2016).
 */
export function checkpoint<A extends readonly unknown[], T extends Tree>(fn: (...args: A) => T): (...args: A) => T {
  return (...args) =>
    checkpointed(
      () => fn(...args),
      (result) => leaves(result).map((t) => t.node),
    );
}
