import { ManabiError } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import type { BlackBox } from "../scores.ts";
import { type Explanation, explain, type LimeOptions, scoreSamples } from "./sampling.ts";
import { checkSamples, cosineDistances, type FeatureWeight, proximity } from "./surrogate.ts";

export interface LimeTextOptions extends LimeOptions {
  /** `words` removes a word wherever it stands; `positions` puts `mask` in the place of one occurrence, for models that
   *  look at the order of words. */
  readonly removal?: "words" | "positions";
  /** What is between words. */
  readonly separator?: RegExp;
  /** What stands for a word that is hidden, with `removal: "positions"`. */
  readonly mask?: string;
}

/** How much a word counts. */
export interface WordWeight extends FeatureWeight {
  readonly word: string;
  /** Where it begins in the text, as indices of a string; one place with `removal: "positions"`. */
  readonly places: readonly number[];
}

/**
 * Why a text gets its score: words are removed at random, and a linear model of what is left is fitted to the scores,
 * texts near to the whole one counting more (LIME, Ribeiro et al. 2016; cosine distances times 100, kernel width 25,
 * 5,000 samples, ten words). One explanation per target.
 */
export async function limeText(
  blackBox: BlackBox<readonly string[]>,
  text: string,
  options: LimeTextOptions = {},
): Promise<Explanation<WordWeight>[]> {
  const { samples = 5000, kernelWidth = 25, seed = 0, features = 10 } = options;
  const words = splitWords(text, options);
  checkWords(words, text);
  checkSamples(samples, words.features.length);
  const data = drawMasks(samples, words.features.length, new Rng(seedKey(seed)));
  const columns = words.features.length;
  const make = (rows: Int32Array) =>
    Array.from(rows, (i) => words.without(data.subarray(i * columns, (i + 1) * columns)));
  const scored = await scoreSamples(blackBox, samples, make, options);
  const distances = cosineDistances(data, columns).map((distance) => 100 * distance);
  const neighbourhood = { data, examples: samples, columns, proximity: proximity(distances, kernelWidth) };
  return explain(neighbourhood, scored, { ...options, features }, ({ feature, weight }) => ({
    feature,
    weight,
    ...words.features[feature],
  }));
}

/** A text as words that can be left out. */
interface Words {
  readonly features: readonly { readonly word: string; readonly places: readonly number[] }[];
  /** The text with the words whose entry is 0 left out. */
  without(present: ArrayLike<number>): string;
}

/** Whatever is neither a letter of any script, nor a mark on one, a number or an underscore. */
const betweenWords = /[^\p{L}\p{M}\p{N}_]+/u;

function splitWords(text: string, options: LimeTextOptions): Words {
  const { removal = "words", separator = betweenWords, mask = "UNKWORDZ" } = options;
  const parts: { readonly string: string; readonly feature: number }[] = []; // feature -1: a separator
  const features: { readonly word: string; readonly places: number[] }[] = [];
  const known = new Map<string, number>();
  const addWord = (word: string, place: number) => {
    if (!word) return;
    let feature = removal === "words" ? known.get(word) : undefined;
    if (feature === undefined) {
      feature = features.push({ word, places: [] }) - 1;
      known.set(word, feature);
    }
    features[feature].places.push(place);
    parts.push({ string: word, feature });
  };
  let from = 0;
  for (const found of text.matchAll(new RegExp(separator.source, `${separator.flags.replace(/[gy]/g, "")}g`))) {
    addWord(text.slice(from, found.index), from);
    parts.push({ string: found[0], feature: -1 });
    from = found.index + found[0].length;
  }
  addWord(text.slice(from), from);
  const hidden = removal === "words" ? "" : mask;
  const without = (present: ArrayLike<number>) =>
    parts.map(({ string, feature }) => (feature < 0 || present[feature] ? string : hidden)).join("");
  return { features, without };
}

function checkWords({ features }: Words, text: string): void {
  if (features.length === 0)
    throw new ManabiError(
      `limeText: there is no word in ${JSON.stringify(text.slice(0, 40))}; give a text, or a separator that leaves words`,
    );
  if (features.length === 1)
    throw new ManabiError(
      `limeText: "${features[0].word}" is the only word, so there is nothing to compare it with; compare the scores of the text and of an empty one instead`,
    );
}

/** Rows of ones from which a random number of columns, one at least, is taken; the first row is left whole. */
function drawMasks(rows: number, columns: number, rng: Rng): Float64Array<ArrayBuffer> {
  const data = new Float64Array(rows * columns).fill(1);
  for (let i = 1; i < rows; i++) {
    const removed = rng.permutation(columns).subarray(0, 1 + rng.int(columns));
    for (const c of removed) data[i * columns + c] = 0;
  }
  return data;
}
