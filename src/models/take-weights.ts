/** Tensors of a file, in whatever layout, for a model: what they tell of it, and giving them to it. */
import { fromHost, type HostArray, ManabiError, type Shape, Tensor } from "../index.ts";
import { headOf, initialize, isBelow, type Layer } from "../nn/index.ts";
import { detectLayout, joinedShape, type Layout, namesIn, sameSize, translated } from "./layouts/layout.ts";
import type { ModelOptions } from "./options.ts";
import { gridSide, positionsKey, resizePositions } from "./positions.ts";
import { createModel, findModel, models } from "./registry.ts";

export type Shapes = ReadonlyMap<string, Shape>;

/** What the tensors of a file tell of a model. */
export interface Described {
  /** The library whose names the file has; null: those of our models, which are torchvision's. */
  readonly library: Layout["library"] | null;
  /** Options of the model that go with the tensors: channels and size of the images, and what the library does in another
   *  way. */
  readonly options: ModelOptions;
  /** Outputs of its head; null where it has none. */
  readonly classes: number | null;
}

const shapesOf = (model: Layer): Map<string, Shape> =>
  new Map([...model.variables()].map(([key, { shape }]) => [key, shape]));

const layoutOf = async (name: string, keys: Iterable<string>, has: (name: string) => boolean) =>
  detectLayout([...keys], await findModel(name).family.layouts(), has).layout;

/** What tensors of these names and shapes tell of the model `name`, whose they are said to be. */
export async function describeTensors(name: string, file: Shapes): Promise<Described> {
  const model = await createModel(name);
  const own = shapesOf(model);
  const layout = await layoutOf(name, own.keys(), (key) => file.has(key));
  const names = namesIn(layout, own.keys());
  const shapeOf = (key: string): Shape | null => {
    const shapes = names.get(key)?.flatMap((there) => [file.get(there) ?? []]) ?? [];
    return shapes.length ? joinedShape(shapes) : null;
  };
  const first = firstConvolution(own);
  const inChannels = first === undefined ? undefined : shapeOf(first)?.[1];
  const [side, madeFor] = [shapeOf(positionsKey), own.get(positionsKey)].map((shape) => shape && gridSide(shape));
  const [, pixels] = findModel(name).variant.input;
  return {
    library: layout?.library ?? null,
    options: {
      ...layout?.options?.(name),
      ...(inChannels === undefined ? {} : { inChannels }),
      ...(side && madeFor ? { imageSize: (side * pixels) / madeFor } : {}),
    },
    classes: shapeOf(`${headOf(model)}.weight`)?.[0] ?? null,
  };
}

/** Our shapes with 0 for what is free: classes, channels of the images, patches. */
function freeShapes(model: Layer): Map<string, Shape> {
  const shapes = shapesOf(model);
  const head = headOf(model);
  const first = firstConvolution(shapes);
  return new Map(
    [...shapes].map(([key, shape]) => {
      const free = isBelow(key, head) ? 0 : key === first || key === positionsKey ? 1 : -1;
      return [key, shape.map((d, axis) => (axis === free ? 0 : d))];
    }),
  );
}

/** The one that sees the images. */
const firstConvolution = (shapes: Shapes): string | undefined =>
  [...shapes].find(([, { length }]) => length === 4)?.[0];

const matches = (found: Shape, want: Shape): boolean =>
  found.length === want.length && want.every((d, axis) => d === 0 || d === found[axis]);

/** Whether a file has exactly the tensors of the model in a layout, its head included. */
async function fits(name: string, file: Shapes, layout: Layout | null): Promise<boolean> {
  const own = freeShapes(await createModel(name));
  const needed = [...own].filter(([key]) => !key.endsWith("num_batches_tracked"));
  if (needed.length > file.size) return false;
  const names = namesIn(layout, own.keys());
  const known = new Set([...names.values()].flat());
  if ([...file.keys()].some((key) => !known.has(key) && !layout?.unused?.test(key))) return false;
  return needed.every(([key, want]) => {
    const found = (names.get(key) ?? []).map((there) => file.get(there) ?? []);
    const shape = joinedShape(found);
    return shape && (matches(shape, want) || (layout?.reshaped?.test(key) && sameSize(shape, want)));
  });
}

/** Families whose first model has the largest share of its keys in a file, and the layout in which it has them. */
async function familiesOf(file: Shapes): Promise<{ variants: string[]; layout: Layout | null }[]> {
  let [found, most]: [{ variants: string[]; layout: Layout | null }[], number] = [[], 0];
  for (const { variants, layouts, create } of Object.values(models)) {
    const names = Object.keys(variants);
    const keys = [...(await create(names[0], {})).variables().keys()];
    const { layout, share } = detectLayout(keys, await layouts(), (key) => file.has(key));
    if (share > most) [found, most] = [[], share];
    if (share === most && share > 0) found.push({ variants: names, layout });
  }
  return found;
}

/**
 * The models whose tensors, but for the number of classes, channels and positions, are those of a file. `hint` is its name:
 * models that it begins with come first, the longest of them before the others, since some differ only in what is computed.
 */
export async function modelsOf(file: Shapes, hint = ""): Promise<string[]> {
  const found: string[] = [];
  for (const { variants, layout } of await familiesOf(file))
    for (const name of variants) if (await fits(name, file, layout)) found.push(name);
  const begins = (name: string) => (hint.startsWith(name) ? name.length : 0);
  return found.sort((a, b) => begins(b) - begins(a));
}

export interface TakeOptions {
  /** Draws the head from this seed, whatever the file has for it. */
  readonly newHead?: { readonly seed: number };
  /** Told what had to be changed. */
  readonly onNotice?: (text: string) => void;
}

/**
 * Gives a model, which is the one called `name`, the tensors of a file with our keys (torchvision's), timm's or
 * transformers'. Position embeddings are resized to the images of the model. Throws with all keys that are missing, extra or
 * misshapen, as the file names them.
 */
export async function takeWeights<M extends Layer>(
  name: string,
  model: M,
  file: ReadonlyMap<string, HostArray>,
  { newHead, onNotice = () => {} }: TakeOptions = {},
): Promise<M> {
  const own = shapesOf(model);
  const layout = await layoutOf(name, own.keys(), (key) => file.has(key));
  const state = translated(layout, own, file);
  const names = namesIn(layout, own.keys());
  const positions = state.get(positionsKey);
  const side = gridSide(own.get(positionsKey) ?? []);
  if (positions && side) state.set(positionsKey, fitted(positions, side, onNotice));
  if (newHead) {
    const head = headOf(model);
    for (const key of [...state.keys()]) if (isBelow(key, head)) state.delete(key);
    initialize(model, newHead.seed, (key) => isBelow(key, head));
    for (const [key, value] of model.stateDict()) if (isBelow(key, head)) state.set(key, value);
  }
  const nameOf = (key: string) => names.get(key)?.join(", ") ?? key;
  try {
    model.loadStateDict(state, { nameOf });
  } catch (cause) {
    if (!layout || !(cause instanceof ManabiError)) throw cause;
    throw new ManabiError(`keys of ${layout.library}: ${cause.message}`, { cause });
  }
  return model;
}

/** Positions on a grid of `side` patches. */
function fitted(given: HostArray | Tensor, side: number, onNotice: (text: string) => void): HostArray | Tensor {
  const grid = gridSide(given.shape);
  if (grid === null || grid === side) return given;
  onNotice(`the position embeddings of ${grid} x ${grid} patches are resized to ${side} x ${side}`);
  return resizePositions(given instanceof Tensor ? given : fromHost(given), side);
}
