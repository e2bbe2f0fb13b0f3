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
import type { SamplingOptions } from "./scores.ts";

export interface IntegratedOptions extends GradientOptions, Pick<SamplingOptions, "onProgress" | "signal"> {
  /** What stands for "nothing": a number everywhere (default 0), or a tensor that broadcasts to the inputs. */
  readonly baseline?: number | Tensor;
  /** Gradients per example (default 50). */
  readonly steps?: number;
  /** Where on the path they are taken (default "gaussLegendre", as in captum). */
  readonly rule?: Quadrature;
  /** Doubles the steps, up to 64 times as many, until every error of completeness is at most this part of the
   *  larger of |S(x)| and |S(baseline)|; null (default) leaves them as they are. */
  readonly tolerance?: number | null;
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
  const scale = scores.map((score, i) => Math.max(Math.abs(score), Math.abs(explained.scores[i])));
  const path = { model, inputs, from, asked: fixed, options };
  const block = blockOf(steps, batchSizeOf(options, inputs));
  for (let taken = steps; ; taken *= 2) {
    const values = await alongPath(path, quadratures[rule](taken), block);
    const error = sums(values, count).map((sum, i) => sum - difference[i]);
    if (tolerance === null || error.every((e, i) => Math.abs(e) <= tolerance * scale[i]) || taken * 2 > steps * 64)
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

/** The integral over the path by a rule, [n, ...], in blocks of examples and steps that a program is compiled for once. */
async function alongPath(
  { model, inputs, from, asked, options }: Path,
  rule: Rule,
  block: Block,
): Promise<Float64Array<ArrayBuffer>> {
  const count = inputs.shape[0];
  const program = remembered(model, asked.read, "path", () => pathProgram(model, asked.read));
  const { points, weights } = padded(rule, block.steps);
  const parts: Float64Array[] = [];
  let done = 0;
  for (const [first, last] of spans(count, block.examples)) {
    const [x, b, classes] = [inputs, from, asked.classes].map((t) => rows(t, first, last));
    const sum = new Float64Array(x.size);
    for (let at = 0; at < points.length; at += block.steps) {
      options.signal?.throwIfAborted();
      const [p, w] = [points, weights].map((list) => tensor(list.slice(at, at + block.steps), { dtype: x.dtype }));
      const part = await readFinite(
        evaluating(model, () => program(x, b, p, w, classes)),
        first,
      );
      for (let k = 0; k < sum.length; k++) sum[k] += part[k];
      done += (last - first) * block.steps;
      options.onProgress?.(done, count * points.length);
    }
    parts.push(sum);
  }
  return concatenated(parts);
}

/** What runs at once. */
interface Block {
  readonly examples: number;
  readonly steps: number;
}

function blockOf(steps: number, batchSize: number): Block {
  const length = Math.ceil(steps / Math.ceil(steps / batchSize));
  return { steps: length, examples: Math.max(1, Math.floor(batchSize / length)) };
}

/** A rule of a multiple of `length` points; those that are added weigh nothing. */
function padded({ points, weights }: Rule, length: number): Rule {
  const total = Math.ceil(points.length / length) * length;
  const added = total - points.length;
  return {
    points: concatenated([points, new Float64Array(added).fill(points[points.length - 1])]),
    weights: concatenated([weights, new Float64Array(added)]),
  };
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
