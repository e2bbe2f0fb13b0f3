import { isFloat } from "../../core/dtype.ts";
import { ManabiError, showShape } from "../../core/errors.ts";
import { type Tensor, tensor, where } from "../../ops/tensor.ts";
import type { Segmentation } from "../../superpixels/index.ts";
import { batchSizeOf } from "../batches.ts";

/** Examples to make: row i is the example `example[i]` with the players of its coalition, the others replaced. */
export interface MaskedRows {
  readonly count: number;
  /** 1 for a player that is in the coalition: [count, players]. */
  readonly present: Uint8Array<ArrayBuffer>;
  readonly example: Int32Array<ArrayBuffer>;
  /** Which of the replacements stands in for the absent: [count]. */
  readonly variant: Int32Array<ArrayBuffer>;
}

/**
 * What it means not to know a part of an example. The players are the parts: columns of a table, superpixels of an image,
 * words of a text. What replaces an absent one may have variants, as the rows of a background; scores are averaged over
 * them.
 */
export interface Masker<Batch = Tensor> {
  /** The players, by name. */
  readonly names: readonly string[];
  /** Explained examples. */
  readonly examples: number;
  readonly variants: number;
  /** Examples per call of a black box where nothing else is asked for. */
  readonly batchSize: number;
  /** The players' own numbers [examples, players], where they have any. */
  readonly data: Tensor | null;
  /** The examples as the black box takes them. */
  mask(rows: MaskedRows): Batch;
}

export interface TableMaskerOptions {
  /** Names of the columns, or of the groups. */
  readonly names?: readonly string[];
  /** The player of each column, where several columns (of a one-hot code, for instance) are one player. */
  readonly groups?: ArrayLike<number>;
}

/** The columns of a table x [n, columns] as players; an absent one has the value of a row of `background` [rows, columns],
 *  which keeps the dependence among absent columns and breaks that on present ones (interventional expectation). */
export function tableMasker(x: Tensor, background: Tensor, options: TableMaskerOptions = {}): Masker {
  checkTable("tableMasker", x, background);
  const [examples, columns] = x.shape;
  const groups = options.groups ? Int32Array.from(options.groups) : Int32Array.from({ length: columns }, (_, i) => i);
  const players = countPlayers("tableMasker", groups, columns, "column");
  const names = playerNames("tableMasker", options.names, players, "feature");
  const ofColumn = tensor(groups);
  return {
    names,
    examples,
    variants: background.shape[0],
    batchSize: batchSizeOf({}, x, "scores"),
    data: options.groups ? null : x,
    mask: ({ count, present, example, variant }) =>
      where(
        tensor(present, { shape: [count, players], dtype: "bool" }).take(ofColumn, 1),
        x.take(tensor(example)),
        background.take(tensor(variant)),
      ),
  };
}

/** Throws unless both are float tables of as many columns, and neither is empty. */
export function checkTable(method: string, x: Tensor, background: Tensor): void {
  if (x.rank !== 2 || background.rank !== 2 || x.shape[1] !== background.shape[1])
    throw new ManabiError(
      `${method}: x ${showShape(x.shape)} and background ${showShape(background.shape)} must be [n, features] and [rows, features]`,
    );
  checkBackground(method, x, background);
}

/** Throws where there is nothing to explain or nothing to compare it with. */
export function checkBackground(method: string, x: Tensor, background: Tensor): void {
  if (background.shape[0] === 0)
    throw new ManabiError(
      `${method}: the background has no rows; give some examples (100 of the training set, for instance) that tell what is usual`,
    );
  if (x.size === 0) throw new ManabiError(`${method}: x ${showShape(x.shape)} holds no example to explain`);
  if (!isFloat(x.dtype) || x.dtype !== background.dtype)
    throw new ManabiError(
      `${method}: x is ${x.dtype} and the background ${background.dtype}; both must be floats of one dtype`,
    );
}

export interface ImageMaskerOptions {
  /** What absent regions show: "imageMean" (default) the mean colour of the whole image, a number for every value, a number per
   *  channel, or an image [c, h, w], such as a blurred one. */
  readonly fill?: "imageMean" | number | readonly number[] | Tensor;
}

/** Regions of one image [c, h, w], such as superpixels, as players. */
export function imageMasker(
  image: Tensor,
  regions: Segmentation,
  { fill = "imageMean" }: ImageMaskerOptions = {},
): Masker {
  const { width, height, labels, count: players } = regions;
  if (image.rank !== 3 || image.shape[1] !== height || image.shape[2] !== width || labels.length !== width * height)
    throw new ManabiError(
      `imageMasker: the image ${showShape(image.shape)} must be [c, ${height}, ${width}], the size of its ${labels.length} labels`,
    );
  if (countPlayers("imageMasker", labels, labels.length, "pixel") !== players)
    throw new ManabiError(`imageMasker: the labels do not use every number from 0 to ${players - 1}`);
  if (players < 2)
    throw new ManabiError(
      "imageMasker: the image is one region, which has everything to itself; ask for more superpixels",
    );
  const behind = filling(image, fill);
  const ofPixel = tensor(labels.slice());
  return {
    names: Array.from({ length: players }, (_, i) => `region ${i}`),
    examples: 1,
    variants: 1,
    batchSize: batchSizeOf({}, image.unsqueeze(0), "scores"),
    data: null,
    mask({ count, present }) {
      const shown = tensor(present, { shape: [count, players], dtype: "bool" }).take(ofPixel, 1);
      return where(shown.reshape([count, 1, height, width]), image.unsqueeze(0), behind);
    },
  };
}

/** What stands behind an image, [1, c, h or 1, w or 1]. */
function filling(image: Tensor, fill: NonNullable<ImageMaskerOptions["fill"]>): Tensor {
  const [c] = image.shape;
  if (fill === "imageMean") return image.mean([1, 2], { keepDims: true }).unsqueeze(0);
  if (typeof fill === "number" || Array.isArray(fill)) {
    const colour = typeof fill === "number" ? Array.from({ length: c }, () => fill) : (fill as readonly number[]);
    if (colour.length !== c)
      throw new ManabiError(`imageMasker: fill has ${colour.length} numbers, the image ${c} channels`);
    return tensor([...colour], { shape: [1, c, 1, 1], dtype: image.dtype });
  }
  const picture = fill as Tensor;
  if (picture.rank !== 3 || picture.shape.some((d, i) => d !== image.shape[i]))
    throw new ManabiError(
      `imageMasker: fill ${showShape(picture.shape)} must have the image's shape ${showShape(image.shape)}`,
    );
  return picture.unsqueeze(0);
}

export interface WordMaskerOptions {
  /** Words of a text; default: at white space. */
  readonly split?: (text: string) => readonly string[];
  /** Texts of words; default: joined by spaces. */
  readonly join?: (words: readonly string[]) => string;
  /** What an absent word becomes, such as "[MASK]"; default: it is left out. */
  readonly replacement?: string;
}

/** The words of one text as players. */
export function wordMasker(text: string, options: WordMaskerOptions = {}): Masker<readonly string[]> {
  const { split = (t) => t.split(/\s+/).filter(Boolean), join = (w) => w.join(" "), replacement } = options;
  const words = split(text);
  if (words.length === 0) throw new ManabiError(`wordMasker: ${JSON.stringify(text)} has no words to explain`);
  const instead = replacement === undefined ? [] : [replacement];
  return {
    names: words,
    examples: 1,
    variants: 1,
    batchSize: 256,
    data: null,
    mask: ({ count, present }) =>
      Array.from({ length: count }, (_, i) =>
        join(words.flatMap((word, p) => (present[i * words.length + p] ? [word] : instead))),
      ),
  };
}

/** How many players `of` names. Throws unless it names each of 0 to the largest for every one of `length` parts. */
function countPlayers(method: string, of: ArrayLike<number>, length: number, part: string): number {
  if (of.length !== length)
    throw new ManabiError(`${method}: there are ${of.length} groups for ${length} ${part}s; each needs one`);
  const used = new Set<number>();
  for (let i = 0; i < length; i++) used.add(of[i]);
  for (let p = 0; p < used.size; p++)
    if (!used.has(p))
      throw new ManabiError(
        `${method}: no ${part} belongs to player ${p}, though there are ${used.size} players; number them from 0 without gaps`,
      );
  return used.size;
}

/** Names for `count` players, or those given, which must be as many. */
export function playerNames(
  method: string,
  names: readonly string[] | undefined,
  count: number,
  kind: string,
): readonly string[] {
  if (names && names.length !== count)
    throw new ManabiError(`${method}: ${names.length} names for ${count} features; give one for each`);
  return names ?? Array.from({ length: count }, (_, i) => `${kind} ${i}`);
}
