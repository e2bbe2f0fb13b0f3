import { setImmediate as breathe } from "node:timers/promises";
import type { HostArray } from "../core/dtype.ts";
import { ManabiError, unknownName } from "../core/errors.ts";
import type { ImageInput } from "../data/image-input.ts";
import { centerCrop, resize, type Transform } from "../data/transforms/literals.ts";
import { overlay } from "../explain/draw.ts";
import type { Heatmap } from "../explain/heatmap.ts";
import {
  type Fact,
  type ImageMethod,
  type ImageMethodName,
  type ImageQuestion,
  imageMethods,
  probabilitiesOf,
} from "../explain/image-methods.ts";
import type { BlackBox } from "../explain/scores.ts";
import { type RemovalCurves, randomRemovalCurves, removalCurves } from "../explain/trust/deletion-insertion.ts";
import { type RandomizationResult, randomizationTest } from "../explain/trust/randomization.ts";
import { fromHost } from "../ops/tensor.ts";
import type { Output } from "../train/output.ts";
import { pictureOf } from "../train/pictures.ts";
import { Progress } from "../train/progress.ts";
import { encodePng, type Picture } from "../train/report/png.ts";
import type { Classifier } from "./published.ts";

/** What is asked of every class of every picture. */
export interface Explaining extends Pick<ImageQuestion, "layer" | "samples" | "superpixels" | "seed" | "batchSize"> {
  readonly methods: readonly ImageMethodName[];
  /** Whether methods that cannot explain this model are told and left out; otherwise their error is thrown. */
  readonly leaveOut: boolean;
  /** Whether explanations are checked by deletion, insertion and random weights. */
  readonly trust: boolean;
  readonly signal: AbortSignal;
}

/** What one method says about one class of one picture. */
export interface MethodResult {
  readonly name: ImageMethodName;
  readonly seconds: number;
  readonly facts: readonly Fact[];
  readonly heatmap: Heatmap;
  readonly png: Uint8Array;
  readonly curves: RemovalCurves | null;
  readonly randomization: RandomizationResult | null;
}

/** What was found out about one class. */
export interface ClassResult {
  readonly index: number;
  readonly label: string;
  readonly probability: number;
  readonly methods: readonly MethodResult[];
  readonly chance: RemovalCurves | null;
}

/** A picture that is explained: as the model takes it, and as people see it. */
export interface Subject {
  readonly path: string;
  /** f32 [channels, height, width] */
  readonly image: HostArray;
  /** The same part of the picture, perhaps larger. */
  readonly view: Picture;
}

/** Explains one class by all methods. `keep` is told after each, so that nothing is lost when the signal ends the work,
 *  which throws its reason. */
export async function explainClass(
  { model, input }: Classifier,
  { path, image, view }: Subject,
  asked: Omit<ClassResult, "methods" | "chance">,
  explaining: Explaining,
  output: Output,
  keep: (result: ClassResult) => void,
): Promise<void> {
  const { signal, trust, layer, samples, superpixels, seed, batchSize } = explaining;
  const picture = pictureOf(image.data, image.shape, input.transforms);
  const scores = attentive(probabilitiesOf(model), signal);
  const question: ImageQuestion = {
    ...{ model, scores, layer, samples, superpixels, seed, batchSize, signal },
    image: fromHost(image),
    target: asked.index,
    picture: {
      dtype: "u8",
      shape: [picture.height, picture.width, picture.channels],
      data: new Uint8Array(picture.data),
    },
  };
  const watched = (what: string) => progressOf(output, `${path}, ${asked.label}: ${what}`);
  const curveOptions = { seed, batchSize, signal };
  const chance = trust
    ? await randomRemovalCurves(scores, question.image, asked.index, { ...curveOptions, onProgress: watched("chance") })
    : null;
  const methods: MethodResult[] = [];
  for (const name of explaining.methods) {
    const method: ImageMethod = imageMethods[name];
    await breathe();
    signal.throwIfAborted();
    output.status(`${path}, ${asked.label}: ${name}`);
    const start = performance.now();
    const answer = await method.explain({ ...question, onProgress: watched(name) }).catch((error) => {
      if (!explaining.leaveOut || !(error instanceof ManabiError) || signal.aborted) throw error;
      output.warn(`left out ${name}: ${error.message}`);
      return null;
    });
    if (!answer) continue;
    const seconds = (performance.now() - start) / 1000;
    const { heatmap, facts } = answer;
    const curves = trust
      ? await removalCurves(scores, question.image, heatmap, asked.index, {
          ...curveOptions,
          onProgress: watched(`${name}, deletion and insertion`),
        })
      : null;
    const again = async () => (await method.explain({ ...question, onProgress: undefined })).heatmap;
    const randomization = trust
      ? await randomizationTest(model, again, { seed, signal, onProgress: watched(`${name}, random weights`) })
      : null;
    const png = await encodePng(overlay(view, heatmap));
    methods.push({ name, seconds, facts, heatmap, png, curves, randomization });
    keep({ ...asked, methods: [...methods], chance });
  }
}

/** A black box that lets Ctrl-C in before each call. */
const attentive =
  (scores: BlackBox, signal: AbortSignal): BlackBox =>
  async (batch) => {
    await breathe();
    signal.throwIfAborted();
    return scores(batch);
  };

/** Draws a progress bar for what reports how much of it is done. */
function progressOf(output: Output, title: string): (done: number, total: number) => void {
  const progress = new Progress(output);
  return (done, total) => {
    progress.plan({ title, steps: total });
    progress.advance(done, 0);
  };
}

/** The index of the class of this name or number. Throws with the nearest names. */
export function classIndex(word: string, classes: readonly string[]): number {
  const named = classes.indexOf(word);
  if (named >= 0) return named;
  const small = classes.findIndex((name) => name.toLowerCase() === word.toLowerCase());
  if (small >= 0) return small;
  if (!/^\d+$/.test(word)) throw unknownName("class", word, classes);
  if (Number(word) < classes.length) return Number(word);
  throw new ManabiError(`unknown class ${word}; the model has ${classes.length} classes (0 to ${classes.length - 1})`);
}

/** What brings a picture to a model, but `factor` times as large: for eyes that see more than the model does. */
export function enlarged(input: ImageInput, factor: number): ImageInput {
  const times = (size: number | readonly [number, number]) =>
    typeof size === "number" ? size * factor : ([size[0] * factor, size[1] * factor] as const);
  const larger = (transform: Transform): Transform => {
    if (transform.op === "resize") return resize(times(transform.size), transform.interpolation);
    return transform.op === "centerCrop" ? centerCrop(times(transform.size)) : transform;
  };
  const { height, width, channels, transforms } = input;
  return { channels, height: height * factor, width: width * factor, transforms: transforms.map(larger) };
}
