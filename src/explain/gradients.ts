import { isFloat } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { customVjp, valueAndGrad } from "../ops/grad.ts";
import { jit } from "../ops/jit.ts";
import { withRectifiers } from "../ops/rectifier.ts";
import type { Tensor } from "../ops/tensor.ts";
import { type BatchOptions, batchSizeOf, concatenated, countOf, rows, spans } from "./batches.ts";
import {
  type Answer,
  answer,
  type Explained,
  evaluating,
  forwardOf,
  joinAnswers,
  type Question,
  question,
  readAnswer,
  remembered,
  type ScalarOptions,
  type Scorer,
} from "./scalar.ts";

/** A number for every value of the inputs. */
export interface Attribution extends Explained {
  /** That of the inputs, [n, ...]. */
  readonly shape: Shape;
  readonly values: Float64Array<ArrayBuffer>;
}

export interface GradientOptions extends ScalarOptions, BatchOptions {}

/** A method that `smoothGrad` can average. */
export type GradientMethod = (model: Scorer, inputs: Tensor, options?: GradientOptions) => Promise<Attribution>;

/** What a gradient becomes, example by example. */
type Finish = (gradient: Tensor, inputs: Tensor) => Tensor;

const asIs: Finish = (gradient) => gradient;

export interface SaliencyOptions extends GradientOptions {
  /** Whether the gradient loses its sign (default true). */
  readonly absolute?: boolean;
}

/**
 * |dS / dx|, how much each value of the inputs would change the score S (Simonyan et al. 2014, arXiv:1312.6034):
 * inputs [n, ...] of images, tables or anything else of floats. `channelHeatmaps(.., "largest")` makes the maps of the
 * paper. Throws where a gradient or score is not finite.
 */
export function saliency(model: Scorer, inputs: Tensor, options: SaliencyOptions = {}): Promise<Attribution> {
  const { absolute = true } = options;
  return attribute(model, inputs, options, absolute ? "absolute" : "gradient", absolute ? (g) => g.abs() : asIs);
}

/** x dS / dx, a first-order estimate of what each value of the inputs adds to the score (Shrikumar et al. 2016,
 *  arXiv:1605.01713). */
export const inputXGradient: GradientMethod = (model, inputs, options = {}) =>
  attribute(model, inputs, options, "inputXGradient", (gradient, x) => gradient.mul(x));

/**
 * dS / dx where what flows back into a ReLU (or ReLU6) is cut off at zero as well (Springenberg et al. 2015,
 * arXiv:1412.6806): fine structure that speaks for the score. Throws for a model without them, for which it would be the
 * plain gradient.
 */
export const guidedBackprop: GradientMethod = (model, inputs, options = {}) =>
  attribute(model, inputs, options, "guided", asIs, (fn) => guided(fn));

/** Runs `fn`, in which gradients are taken, with guided gradients of rectifiers. */
function guided<T>(fn: () => T): T {
  let count = 0;
  const gate = customVjp(
    (y: Tensor) => y,
    ({ ct }) => [ct.maximum(0)],
  );
  const result = withRectifiers((y) => {
    count++;
    return gate(y);
  }, fn);
  if (count) return result;
  throw new ManabiError(
    "guidedBackprop: the model has no ReLU, whose gradient the method changes; use saliency, integratedGradients or smoothGrad",
  );
}

async function attribute(
  model: Scorer,
  inputs: Tensor,
  options: GradientOptions,
  key: string,
  finish: Finish,
  within: <T>(fn: () => T) => T = (fn) => fn(),
): Promise<Attribution> {
  const count = countOf(inputs);
  const asked = question(options.target, count);
  const program = remembered(model, asked.read, key, () =>
    jit((x: Tensor, classes: Tensor) => {
      const [given, gradient] = within(() => scoreGradient(model, x, { read: asked.read, classes }));
      return { ...given, attribution: finish(gradient, x) };
    }),
  );
  const parts: Attribution[] = [];
  for (const [from, to] of spans(count, batchSizeOf(options, inputs))) {
    const x = rows(inputs, from, to);
    const { attribution, ...given } = evaluating(model, () => program(x, rows(asked.classes, from, to)));
    const explained = await readAnswer(given, asked, from);
    parts.push({ ...explained, shape: x.shape, values: await readFinite(attribution, from) });
  }
  return { ...joinAnswers(parts), shape: inputs.shape, values: concatenated(parts.map(({ values }) => values)) };
}

/** The answer to a question about x [n, ...], and the gradient of each example's scalar by that example. */
export function scoreGradient(model: Scorer, x: Tensor, asked: Question): [given: Answer, gradient: Tensor] {
  const forward = forwardOf(model);
  if (!isFloat(x.dtype))
    throw new ManabiError(
      `inputs: there are no gradients by values of dtype ${x.dtype}; use floats, as of x.cast("f32")`,
    );
  const [[, given], gradient] = valueAndGrad(x, (x): [Tensor, Answer] => {
    const given = answer(forward(x), x.shape[0], asked);
    return [given.values.sum(), given];
  });
  return [given, gradient];
}

/** The values of attributions [n, ...] whose first example has the number `first`. Throws for one that is not finite. */
export async function readFinite(attribution: Tensor, first = 0): Promise<Float64Array<ArrayBuffer>> {
  const values = Float64Array.from(await attribution.data(), Number);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return values;
  const example = first + Math.floor((bad * attribution.shape[0]) / values.length);
  throw new ManabiError(
    `gradient: that of example ${example} is ${values[bad]} although its score is finite; the model computes something there that has no slope, such as the square root of 0`,
  );
}
