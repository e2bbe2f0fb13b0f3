import { ManabiError } from "../core/errors.ts";
import type { Layer } from "../nn/container.ts";
import { valueAndGrad } from "../ops/grad.ts";
import { type Jitted, jit } from "../ops/jit.ts";
import { type Tensor, where } from "../ops/tensor.ts";
import { batchSizeOf, checkImages, countOf, rows, spans } from "./batches.ts";
import { type ClassMaps, joinMaps, readMaps, scaledUp } from "./class-maps.ts";
import { type Attribution, type GradientOptions, guidedBackprop } from "./gradients.ts";
import { type Answer, answer, evaluating, type Question, question, readAnswer, remembered } from "./scalar.ts";
import { asMap, frameOf, lastMapLayer, noMap, outputOf, type TokenGrid, withOutput } from "./tap.ts";

export interface GradCamOptions extends GradientOptions {
  /** The key of the layer; default: `lastMapLayer`. `mapLayers` lists those that are possible. */
  readonly layer?: string;
  /** Whether what speaks against the score is left out (default true, as in the papers). */
  readonly relu?: boolean;
  /** Where a layer's output is tokens [n, t, c] that are not one per square patch after at most one class token. */
  readonly tokens?: TokenGrid | null;
}

/** The weights of feature maps a [n, c, h, w] of which g is the gradient: [n, c, 1, 1]. */
type Weighting = (a: Tensor, g: Tensor) => Tensor;

const overPlaces = [2, 3];
const keep = { keepDims: true } as const;

const meanGradient: Weighting = (_, g) => g.mean(overPlaces, keep);

/**
 * sum_ij alpha_ij relu(g_ij), alpha_ij = g_ij^2 / (2 g_ij^2 + g_ij^3 sum_ab a_ab): equations 10 and 19 of the paper,
 * whose score exp(S) multiplies all weights by the same. Where g is 0, so is the term.
 */
const secondOrder: Weighting = (a, g) => {
  const below = g.mul(a.sum(overPlaces, keep)).add(2);
  const counts = g.gt(0).and(below.ne(0));
  return where(counts, g.div(where(counts, below, 1)), 0).sum(overPlaces, keep);
};

/**
 * Where a model sees what speaks for the score S (Selvaraju et al. 2017, arXiv:1610.02391): feature maps of a layer,
 * each weighted by the mean gradient of S by it, summed, cut off at zero and scaled up to images [n, c, h, w]. The layer
 * is any module of the model by its key, such as "layer4", "features.18" or
 * "encoder.layers.encoder_layer_11.ln_1"; where nothing speaks for the score the map is 0. Throws with the candidates
 * for a layer that does not exist or has no map.
 */
export const gradCam = (model: Layer, images: Tensor, options: GradCamOptions = {}): Promise<ClassMaps> =>
  weightedMaps(model, images, options, "gradCam", meanGradient);

/** Grad-CAM whose weights count places with a positive gradient alone, so that several objects of a class, and small
 *  ones, show as well (Chattopadhyay et al. 2018, arXiv:1710.11063). */
export const gradCamPlusPlus = (model: Layer, images: Tensor, options: GradCamOptions = {}): Promise<ClassMaps> =>
  weightedMaps(model, images, options, "gradCamPlusPlus", secondOrder);

/** Guided backpropagation times Grad-CAM at the size of the image: fine structure, where it speaks for the score. */
export async function guidedGradCam(model: Layer, images: Tensor, options: GradCamOptions = {}): Promise<Attribution> {
  const { heatmaps, scores, classes } = await gradCam(model, images, { ...options, relu: true });
  const fine = await guidedBackprop(model, images, { ...options, target: options.target ?? [...(classes ?? [])] });
  const [, depth, height, width] = fine.shape;
  const area = height * width;
  const values = fine.values.map((value, j) => value * heatmaps[Math.floor(j / (depth * area))].data[j % area]);
  return { shape: fine.shape, scores, classes, values };
}

/** One method at one layer. */
interface Choice {
  readonly layer: string;
  readonly relu: boolean;
  readonly tokens: TokenGrid | null;
  readonly weighting: Weighting;
}

async function weightedMaps(
  model: Layer,
  images: Tensor,
  options: GradCamOptions,
  method: string,
  weighting: Weighting,
): Promise<ClassMaps> {
  checkImages(images);
  const { relu = true, tokens = null } = options;
  const count = countOf(images);
  const asked = question(options.target, count);
  const layer = options.layer ?? usualLayer(model, images, tokens);
  const program = remembered(model, asked.read, [method, layer, relu, JSON.stringify(tokens)].join(), () =>
    mapProgram(model, asked.read, { layer, relu, tokens, weighting }),
  );
  const parts: ClassMaps[] = [];
  for (const [from, to] of spans(count, batchSizeOf(options, images))) {
    const { small, large, unreached, ...given } = evaluating(model, () =>
      program(rows(images, from, to), rows(asked.classes, from, to)),
    );
    const explained = await readAnswer(given, asked, from);
    if (await unreached.item())
      throw new ManabiError(
        `${model.constructor.name}: the score depends on no token of the image in ${layer}, only on others such as the class token; choose a layer before tokens are mixed for the last time, such as ${usualLayer(model, images, tokens)}`,
      );
    parts.push({ ...explained, layer, ...(await readMaps(small, large, from)) });
  }
  return joinMaps(parts);
}

type MapProgram = Answer & {
  readonly small: Tensor;
  readonly large: Tensor;
  /** Whether the gradient is 0 all over the map, but not in the rest of the layer's output: bool []. */
  readonly unreached: Tensor;
};

/** Images, and a class for each -> maps. The model is run up to the layer, and then, in the same program, from there. */
function mapProgram(
  model: Layer,
  read: Question["read"],
  { layer, relu, tokens, weighting }: Choice,
): Jitted<[x: Tensor, classes: Tensor], MapProgram> {
  return jit((x: Tensor, classes: Tensor) => {
    const whole = outputOf(model, layer, () => model.forward(x));
    const a = asMap(whole, frameOf(x, tokens));
    if (!a) throw noMap(model, layer, whole, x);
    const [[, given], gradient] = valueAndGrad(whole, (output): [Tensor, Answer] => {
      const scores = withOutput(model, layer, output, () => model.forward(x));
      const given = answer(scores, x.shape[0], { read, classes });
      return [given.values.sum(), given];
    });
    const g = asMap(gradient, frameOf(x, tokens)) as Tensor;
    const sum = weighting(a, g).mul(a).sum(1, keep);
    const unreached = g.eq(0).all().and(gradient.ne(0).any());
    return { ...given, ...scaledUp(relu ? sum.maximum(0) : sum, x), unreached };
  });
}

const usualLayer = (model: Layer, images: Tensor, tokens: TokenGrid | null): string =>
  remembered(model, null, `layer of ${images.shape.slice(1)} ${JSON.stringify(tokens)}`, () =>
    lastMapLayer(model, images, tokens),
  );
