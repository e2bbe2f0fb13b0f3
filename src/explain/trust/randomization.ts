import { ManabiError } from "../../core/errors.ts";
import { initialize, type Module } from "../../nn/module.ts";
import { stages } from "../../nn/stages.ts";
import type { Heatmap } from "../heatmap.ts";
import { rankCorrelation, structuralSimilarity } from "./similarity.ts";

export interface RandomizationOptions {
  /** "cascading" draws one stage after the other anew and keeps what was drawn, from the head to the input;
   *  "independent" draws one stage at a time and leaves all others trained. Default "cascading". */
  readonly order?: "cascading" | "independent";
  /** From which new weights are drawn. */
  readonly seed?: number;
  /** Told after each stage how many of all are done. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** How much maps of a partly random model are like those of the trained one; means over the maps. */
export interface RandomizationStep {
  /** The stage that has just been drawn anew, such as "layer4". */
  readonly stage: string;
  /** Spearman's rank correlation, -1 to 1. */
  readonly correlation: number;
  /** That of the maps without their signs. */
  readonly absoluteCorrelation: number;
  /** The larger of the two, 0 at least: maps may keep their places or their signs. */
  readonly likeness: number;
  /** Structural similarity, -1 to 1; null for maps smaller than its window of 11x11. */
  readonly similarity: number | null;
  /** The maps themselves. */
  readonly maps: readonly Heatmap[];
}

/** "changes": the maps depend on what the model has learned. "hardly changes": they would look much the same for a model
 *  that knows nothing, so they do not explain this one. "partly" is between. */
export type RandomizationVerdict = "changes" | "partly" | "hardly changes";

export interface RandomizationResult {
  readonly steps: readonly RandomizationStep[];
  readonly verdict: RandomizationVerdict;
}

/**
 * The sanity check by randomization of weights (Adebayo et al. 2018, "Sanity Checks for Saliency Maps",
 * https://arxiv.org/abs/1810.03292): a map that stays the same when the model's weights are replaced by random ones tells
 * something of the picture, not of the model. `explain` makes one or more maps with the model as it is at that time. All
 * variables, running statistics too, have their values back afterwards, also when something fails.
 *
 * The verdict goes by the mean likeness over all stages, not by the last one alone: what only changes when the first
 * convolutions are random too does not show what the model has learned to tell classes apart. From 0.7 on the maps hardly
 * change, below 0.4 they change.
 */
export async function randomizationTest(
  model: Module,
  explain: () => Promise<Heatmap | readonly Heatmap[]> | Heatmap | readonly Heatmap[],
  { order = "cascading", seed = 0, onProgress, signal }: RandomizationOptions = {},
): Promise<RandomizationResult> {
  const maps = async () => [await explain()].flat() as readonly Heatmap[];
  const trained = await maps();
  if (!trained.length) throw new ManabiError("randomizationTest: explain returned no maps");
  const state = model.stateDict();
  const restore = (keys?: ReadonlySet<string>) =>
    model.loadStateDict(new Map([...state].filter(([key]) => !keys || keys.has(key))), { strict: false });
  const names = withBuffers(model).reverse(); // from the head
  const steps: RandomizationStep[] = [];
  try {
    for (const [i, { name, keys }] of names.entries()) {
      signal?.throwIfAborted();
      initialize(model, seed, (key) => keys.has(key));
      steps.push(compare(name, trained, await maps()));
      if (order === "independent") restore(keys);
      onProgress?.(i + 1, names.length);
    }
  } finally {
    restore();
  }
  return { steps, verdict: verdictOf(steps) };
}

function compare(stage: string, trained: readonly Heatmap[], random: readonly Heatmap[]): RandomizationStep {
  const mean = (measure: (a: Heatmap, b: Heatmap) => number) =>
    trained.reduce((sum, map, i) => sum + measure(map, random[i]), 0) / trained.length;
  const { width, height } = trained[0];
  const correlation = mean((a, b) => rankCorrelation(a.data, b.data));
  const absoluteCorrelation = mean((a, b) => rankCorrelation(a.data.map(Math.abs), b.data.map(Math.abs)));
  return {
    ...{ stage, correlation, absoluteCorrelation },
    likeness: Math.max(0, correlation, absoluteCorrelation),
    similarity: Math.min(width, height) > 10 ? mean(structuralSimilarity) : null,
    maps: random,
  };
}

function verdictOf(steps: readonly RandomizationStep[]): RandomizationVerdict {
  const mean = steps.reduce((sum, { likeness }) => sum + likeness, 0) / steps.length;
  return mean >= 0.7 ? "hardly changes" : mean < 0.4 ? "changes" : "partly";
}

/** The stages of a model with the buffers of the modules that their parameters are in. */
function withBuffers(model: Module): { readonly name: string; readonly keys: ReadonlySet<string> }[] {
  const owner = (key: string) => key.slice(0, key.lastIndexOf(".") + 1);
  const buffers = [...model.namedBuffers()].map(([key]) => key);
  return stages(model).map(({ name, parameters }) => {
    const owners = new Set(parameters.map(owner));
    return { name, keys: new Set([...parameters, ...buffers.filter((key) => owners.has(owner(key)))]) };
  });
}
