import { ManabiError, unknownName } from "../core/errors.ts";
import { jit } from "../ops/jit.ts";
import { Tensor, tensor } from "../ops/tensor.ts";
import { batchSizeOf, concatenated, countOf, rows, spans } from "./batches.ts";
import { type Attribution, type GradientOptions, readFinite, scoreGradient } from "./gradients.ts";
import { type Quadrature, quadratures, type Rule } from "./quadrature.ts";
import {
  answer,
  type Explained,
  evaluating,
  forwardOf,
  joinAnswers,
  type Question,
  question,
  readAnswer,
  remembered,
  type Scorer,
} from "./scalar.ts";

export interface IntegratedOptions extends GradientOptions {
  /** What stands for "nothing": a number everywhere (default 0), or a tensor that broadcasts to the inputs. */
  readonly baseline?: number | Tensor;
  /** Gradients per example (default 50). */
  readonly steps?: number;
  /** Where on the path they are taken (default "gaussLegendre", as in captum). */
  readonly rule?: Quadrature;
  /** Doubles the steps, up to 32 times as many, until every error of completeness is at most this part of the
   *  difference; null (default) leaves them as they are. */
  readonly tolerance?: number | null;
  /** Told after each batch how many of all gradients are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface IntegratedGradients extends Attribution {
  /** Attributions of an example should sum to S(x) - S(baseline). */
  readonly completeness: {
    /** S(x) - S(baseline), [n]. */
    readonly difference: Float64Array<ArrayBuffer>;
    /** Their sum minus that, [n]: what the sum over steps misses of the integral. */
    readonly error: Float64Array<ArrayBuffer>;
  };
  /** Gradients per example that were taken. */
  readonly steps: number;
}

/**
 * (x - b) times the mean gradient of the score S on the straight path from a baseline b to x (Sundararajan et al. 2017,
 * arXiv:1703.01365): inputs [n, ...] of images, tables or anything else of floats. The path integral is a sum over steps
 * that run in batches; `completeness` tells how good it is.
 */
export async function integratedGradients(
  model: Scorer,
  inputs: Tensor,
  options: IntegratedOptions = {},
): Promise<IntegratedGradients> {
  const count = countOf(inputs);
  const { steps = 50, tolerance = null, rule = "gaussLegendre" } = options;
  if (!Number.isInteger(steps) || steps < 1) throw new ManabiError(`steps: an integer >= 1 is needed, got ${steps}`);
  if (!Object.hasOwn(quadratures, rule)) throw unknownName("quadrature rule", rule, Object.keys(quadratures));
  const from = baselineFor(inputs, options.baseline ?? 0);
  const asked = question(options.target, count);
  const explained = await scoresOf(model, inputs, asked, options);
  // The class is that of the inputs all along the path.
  const fixed = explained.classes ? question([...explained.classes], count) : asked;
  const { scores } = await scoresOf(model, from, fixed, options);
  const difference = explained.scores.map((score, i) => score - scores[i]);
  const path = { model, inputs, from, asked: fixed, options };
  for (let taken = steps; ; taken *= 2) {
    const values = await alongPath(path, quadratures[rule](taken));
    const error = sums(values, count).map((sum, i) => sum - difference[i]);
    const complete = error.every((e, i) => tolerance === null || Math.abs(e) <= tolerance * Math.abs(difference[i]));
    if (complete || taken * 2 > steps * 32)
      return { ...explained, shape: inputs.shape, values, steps: taken, completeness: { difference, error } };
  }
}

function baselineFor(inputs: Tensor, baseline: number | Tensor): Tensor {
  const given = baseline instanceof Tensor ? baseline.cast(inputs.dtype) : tensor(baseline, { dtype: inputs.dtype });
  return given.broadcastTo(inputs.shape);
}

/** Sums of `count` equal parts. */
function sums(values: Float64Array, count: number): Float64Array<ArrayBuffer> {
  const each = values.length / count;
  return Float64Array.from({ length: count }, (_, i) =>
    values.subarray(i * each, (i + 1) * each).reduce((a, b) => a + b, 0),
  );
}

/** The scalars alone. */
async function scoresOf(model: Scorer, x: Tensor, asked: Question, options: GradientOptions): Promise<Explained> {
  const forward = forwardOf(model);
  const program = remembered(model, asked.read, "scores", () =>
    jit((x: Tensor, classes: Tensor) => answer(forward(x), x.shape[0], { read: asked.read, classes })),
  );
  const parts: Explained[] = [];
  for (const [from, to] of spans(x.shape[0], batchSizeOf(options, x, "scores"))) {
    const given = evaluating(model, () => program(rows(x, from, to), rows(asked.classes, from, to)));
    parts.push(await readAnswer(given, asked, from));
  }
  return joinAnswers(parts);
}

interface Path {
  readonly model: Scorer;
  readonly inputs: Tensor;
  readonly from: Tensor;
  readonly asked: Question;
  readonly options: IntegratedOptions;
}

/** The integral over the path by a rule, [n, ...], in batches of examples or, where one has many steps, of steps. */
async function alongPath(
  { model, inputs, from, asked, options }: Path,
  rule: Rule,
): Promise<Float64Array<ArrayBuffer>> {
  const count = inputs.shape[0];
  const steps = rule.points.length;
  const batchSize = batchSizeOf(options, inputs);
  const program = remembered(model, asked.read, "path", () => pathProgram(model, asked.read));
  const parts: Float64Array[] = [];
  let done = 0;
  for (const [first, last] of spans(count, Math.max(1, Math.floor(batchSize / steps)))) {
    const [x, b, classes] = [inputs, from, asked.classes].map((t) => rows(t, first, last));
    const sum = new Float64Array(x.size);
    for (const [i, j] of spans(steps, batchSize)) {
      const [points, weights] = [rule.points, rule.weights].map((list) => tensor(list.slice(i, j), { dtype: x.dtype }));
      const part = await readFinite(
        evaluating(model, () => program(x, b, points, weights, classes)),
        first,
      );
      for (let k = 0; k < sum.length; k++) sum[k] += part[k];
      done += (last - first) * (j - i);
      options.onProgress?.(done, count * steps);
    }
    parts.push(sum);
  }
  return concatenated(parts);
}

/** x and b [e, ...], points and weights [m], classes i32 [e] -> (x - b) times the weighted sum of gradients, [e, ...]. */
const pathProgram = (model: Scorer, read: Question["read"]) =>
  jit((x: Tensor, b: Tensor, points: Tensor, weights: Tensor, classes: Tensor) => {
    const [count, ...example] = x.shape;
    const steps = points.size;
    const perStep = (t: Tensor) => t.reshape([1, steps, ...example.map(() => 1)]);
    const difference = x.sub(b);
    const path = difference.unsqueeze(1).mul(perStep(points)).add(b.unsqueeze(1)); // [e, m, ...]
    const [, gradient] = scoreGradient(model, path.reshape([count * steps, ...example]), {
      read,
      classes: classes.unsqueeze(1).broadcastTo([count, steps]).reshape([-1]),
    });
    return gradient.reshape(path.shape).mul(perStep(weights)).sum(1).mul(difference);
  });
