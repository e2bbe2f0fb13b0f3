import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import type { Layer } from "../nn/container.ts";
import { inEvalMode, Module } from "../nn/module.ts";
import { arange } from "../ops/creation.ts";
import { type Tensor, tensor, where } from "../ops/tensor.ts";
import { concatenated } from "./batches.ts";
import { checkClass, checkFinite, type ScoreFunction } from "./scores.ts";

/** What can be differentiated: a network, which is put into evaluation mode meanwhile, or a function of a batch. */
export type Scorer = Layer | ScoreFunction;

/** What of the scores is explained where gradients are needed: a class, a class for each example, or a function that
 *  makes a number of each example's scores: [n, k] -> [n]. */
export type ScalarTarget = number | readonly number[] | ((scores: Tensor) => Tensor);

export interface ScalarOptions {
  /** Default: for each example its class of the highest score. */
  readonly target?: ScalarTarget;
}

/** What was explained. */
export interface Explained {
  /** The target's score of each example, [n]. */
  readonly scores: Float64Array<ArrayBuffer>;
  /** The class of each example, [n]; null where a function is the target. */
  readonly classes: Int32Array<ArrayBuffer> | null;
}

export const forwardOf = (model: Scorer): ScoreFunction =>
  model instanceof Module ? (batch) => model.forward(batch) : model;

/** `fn` with a network in evaluation mode; each of its modules has its own mode back afterwards. */
export const evaluating = <T>(model: Scorer, fn: () => T): T =>
  model instanceof Module ? inEvalMode(model, fn) : fn();

/** A target as programs take it: `read`, or else the class of each example. */
export interface Question {
  /** The class of each example, -1 for the one of the highest score: i32 [n]. */
  readonly classes: Tensor;
  readonly read: ((scores: Tensor) => Tensor) | null;
}

/** Throws for a class that is no index, and for classes of another number of examples. */
export function question(target: ScalarTarget | undefined, count: number): Question {
  if (typeof target === "function") return { classes: all(-1, count), read: target };
  const list = typeof target === "object" ? target : new Array<number>(count).fill(target ?? -1);
  if (list.length !== count)
    throw new ManabiError(`target: ${list.length} classes for ${count} examples; give one for each, or one for all`);
  const bad = list.find((c) => !Number.isInteger(c) || (c < 0 && target !== undefined));
  if (bad !== undefined) throw new ManabiError(`target: a class is an integer >= 0, got ${bad}`);
  return { classes: tensor(Int32Array.from(list)), read: null };
}

const all = (value: number, count: number): Tensor => tensor(new Int32Array(count).fill(value));

/** What programs return about the scalar that is explained. */
export type Answer = {
  /** [n, k] */
  readonly scores: Tensor;
  /** The scalar of each example, [n]. */
  readonly values: Tensor;
  /** i32 [n] */
  readonly classes: Tensor;
};

/** The scalar of each of `count` examples: scores [n, k] or [n] and what is asked of them. */
export function answer(scores: Tensor, count: number, { classes, read }: Question): Answer {
  if (scores.rank < 1 || scores.rank > 2 || scores.shape[0] !== count)
    throw new ShapeError(
      `scores: the model returns ${showShape(scores.shape)} for ${count} examples; explanations need [${count}, classes] or [${count}]`,
    );
  const table = scores.reshape([count, -1]);
  if (read) {
    const values = read(table);
    if (values.rank !== 1 || values.shape[0] !== count)
      throw new ShapeError(
        `target: the function returns ${showShape(values.shape)} for scores ${showShape(table.shape)}; it must give one number for each example, [${count}]`,
      );
    return { scores: table, values, classes };
  }
  const chosen = where(classes.lt(0), table.argmax(1), classes);
  const hit = chosen.unsqueeze(1).eq(arange(table.shape[1]));
  return { scores: table, values: where(hit, table, 0).sum(1), classes: chosen };
}

/** The answer's numbers for examples of which the first has the number `first`. Throws for a class that the scores do
 *  not have, and for scores that are not finite. */
export async function readAnswer(
  { scores, values, classes }: Answer,
  { read }: Question,
  first: number,
): Promise<Explained> {
  const chosen = read ? null : Int32Array.from(await classes.data(), Number);
  for (const c of new Set(chosen)) checkClass(c, scores.shape[1]);
  const numbers = Float64Array.from(await values.data(), Number);
  checkFinite(numbers, first);
  return { scores: numbers, classes: chosen };
}

/** The answers of the parts of a batch. */
export const joinAnswers = (parts: readonly Explained[]): Explained => ({
  scores: concatenated(parts.map(({ scores }) => scores)),
  classes: parts[0].classes && Int32Array.from(parts.flatMap(({ classes }) => [...(classes ?? [])])),
});

const programs = new WeakMap<object, WeakMap<object, Map<string, unknown>>>();
const anyClass = {};

/** What `make` returns, made once for a model, a target and a key; it lives as long as the model and the target. */
export function remembered<T>(model: Scorer, target: Question["read"], key: string, make: () => T): T {
  const byTarget = programs.get(model) ?? new WeakMap<object, Map<string, unknown>>();
  programs.set(model, byTarget);
  const byKey = byTarget.get(target ?? anyClass) ?? new Map<string, unknown>();
  byTarget.set(target ?? anyClass, byKey);
  if (!byKey.has(key)) byKey.set(key, make());
  return byKey.get(key) as T;
}
