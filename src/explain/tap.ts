import { ManabiError, nearest, showShape, unknownName } from "../core/errors.ts";
import { MultiheadAttention } from "../nn/attention.ts";
import type { Layer } from "../nn/container.ts";
import { intercept } from "../nn/intercept.ts";
import { inEvalMode, type Module } from "../nn/module.ts";
import { AdaptiveAvgPool2d, AvgPool2d } from "../nn/pool.ts";
import { Tensor } from "../ops/tensor.ts";
import { checkImages } from "./batches.ts";

/** How the tokens [n, t, c] of a layer lie on the image. */
export interface TokenGrid {
  /** Tokens before those of the image, such as a class token. */
  readonly skip: number;
  readonly grid: readonly [height: number, width: number];
}

/** The module of a key. Throws with the nearest keys for an unknown one. */
export function findLayer(model: Module, key: string): Module {
  const modules = new Map(model.namedModules());
  const found = modules.get(key);
  if (found && key) return found;
  const keys = [...modules.keys()].filter(Boolean);
  throw unknownName(`layer of ${model.constructor.name}`, key, nearest(key, keys).length ? keys : shortest(keys));
}

/** Keys of one or two names, where there are any: enough for a hint. */
function shortest(keys: readonly string[]): readonly string[] {
  const short = keys.filter((key) => key.split(".").length <= 2);
  return short.length ? short : keys;
}

/** What the module of a key returns while `run` runs the model. Throws unless it is called once, and returns a tensor. */
export function outputOf(model: Module, key: string, run: () => unknown): Tensor {
  const outputs: unknown[] = [];
  const collect = (_: Module, forward: () => unknown) => {
    const out = forward();
    outputs.push(out);
    return out;
  };
  intercept([findLayer(model, key)], collect, run);
  const name = `${model.constructor.name}: the layer ${key}`;
  if (outputs.length === 0)
    throw new ManabiError(
      `${name} is not called when the model runs; name a layer inside of it, or one that is called`,
    );
  if (outputs.length > 1)
    throw new ManabiError(
      `${name} is called ${outputs.length} times when the model runs, so it has no one output; name the block it is in`,
    );
  const [out] = outputs;
  if (out instanceof Tensor) return out;
  throw new ManabiError(
    `${name} returns ${Array.isArray(out) ? "a list" : typeof out}, not a tensor; name another one`,
  );
}

/** Runs `run` with `output` in place of what the module of a key returns. */
export const withOutput = <T>(model: Module, key: string, output: Tensor, run: () => T): T =>
  intercept([findLayer(model, key)], () => output, run);

/** What is meant by "as a map": how the output of a layer lies on images of this size. */
interface Frame {
  readonly height: number;
  readonly width: number;
  readonly tokens: TokenGrid | null;
}

/** The frame of images [n, c, h, w]. */
export const frameOf = ({ shape }: Tensor, tokens: TokenGrid | null = null): Frame => ({
  ...{ height: shape[2], width: shape[3], tokens },
});

/**
 * The output of a layer as maps [n, c, h, w] of more than one place, null where it is nothing of the kind. Tokens
 * [n, t, c] are taken for those of square patches that tile the image, perhaps after one class token, unless `tokens`
 * says otherwise.
 */
export function asMap(output: Tensor, frame: Frame): Tensor | null {
  if (output.rank === 4) return output.shape[2] * output.shape[3] > 1 ? output : null;
  const place = output.rank === 3 ? (frame.tokens ?? patchesOf(output.shape[1], frame)) : null;
  if (!place || output.shape[1] !== place.skip + place.grid[0] * place.grid[1]) return null;
  const [n, t, c] = output.shape;
  return output
    .slice(1, place.skip, t)
    .transpose(1, 2)
    .reshape([n, c, ...place.grid]);
}

function patchesOf(count: number, { height, width }: Frame): TokenGrid | null {
  for (const skip of [0, 1]) {
    const down = Math.round(Math.sqrt(((count - skip) * height) / width));
    const across = (count - skip) / down;
    if (count - skip > 1 && Number.isInteger(across) && down * width === across * height)
      return { skip, grid: [down, across] };
  }
  return null;
}

/** A layer whose output is a map, in the order in which they end when the model runs. */
interface MapLayer {
  readonly key: string;
  readonly module: Module;
  /** Whether a layer that mixes tokens begins later. */
  readonly mixedLater: boolean;
}

function mapLayersOf(model: Layer, images: Tensor, tokens: TokenGrid | null): MapLayer[] {
  checkImages(images);
  const frame = frameOf(images, tokens);
  const keys = new Map<Module, string>();
  for (const [key, module] of model.namedModules()) if (key && !keys.has(module)) keys.set(module, key);
  const calls = new Map<Module, number>();
  const ended: Module[] = [];
  let mixed = 0;
  const note = (module: Module, run: () => unknown) => {
    calls.set(module, (calls.get(module) ?? 0) + 1);
    if (module instanceof MultiheadAttention) mixed = ended.length;
    const out = run();
    if (out instanceof Tensor && asMap(out, frame)) ended.push(module);
    return out;
  };
  inEvalMode(model, () => intercept(keys.keys(), note, () => model.forward(images)));
  return ended
    .map((module, i) => ({ key: keys.get(module) as string, module, mixedLater: i < mixed }))
    .filter(({ module }) => calls.get(module) === 1);
}

/** Keys of the layers whose outputs are maps over images [n, c, h, w], in the order in which they end when the model
 *  runs: the candidates for Grad-CAM. */
export const mapLayers = (model: Layer, images: Tensor, tokens: TokenGrid | null = null): string[] =>
  mapLayersOf(model, images, tokens).map(({ key }) => key);

/**
 * The layer that Grad-CAM is for: the last one whose output is a map, averages aside; in a transformer the last one
 * before tokens are mixed for the last time, since a head that reads the class token alone depends on no other token
 * after that. Throws where there is none.
 */
export function lastMapLayer(model: Layer, images: Tensor, tokens: TokenGrid | null = null): string {
  const layers = mapLayersOf(model, images, tokens);
  const before = layers.filter(({ mixedLater }) => mixedLater);
  const averages = ({ module }: MapLayer) => module instanceof AdaptiveAvgPool2d || module instanceof AvgPool2d;
  const found = before.at(-1) ?? layers.findLast((layer) => !averages(layer));
  if (found) return found.key;
  throw new ManabiError(
    `${model.constructor.name}: no layer's output is a map over the image (of more than one place); use saliency, integratedGradients or occlusion, which need none`,
  );
}

/** The error for a layer whose output is no map. */
export function noMap(model: Layer, key: string, output: Tensor, images: Tensor): ManabiError {
  const layers = mapLayers(model, images);
  const shown = shortest(layers).slice(-12);
  const left = layers.length - shown.length;
  return new ManabiError(
    `${model.constructor.name}: the output of ${key} is ${showShape(output.shape)}, which is no map over the image; ` +
      (layers.length
        ? `layers with one: ${shown.join(", ")}${left ? ` and ${left} more` : ""}. `
        : "no layer has one; use saliency or occlusion. ") +
      "Tokens [n, t, c] that are not one per square patch, after at most one class token, need the option tokens",
  );
}
