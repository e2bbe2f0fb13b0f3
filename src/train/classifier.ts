import { FormatError } from "../core/errors.ts";
import type { ImageInput } from "../data/image-input.ts";

/** Everything it takes to use or to evaluate a trained classifier, besides its weights. It is kept in the notes of each
 *  checkpoint, so that one file is enough. */
export interface ClassifierCard {
  /** Name in the registry of models, and the options it was made with. */
  readonly model: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  readonly classes: readonly string[];
  readonly input: ImageInput;
  /** A known data set or a folder, and how its test part is drawn where it has none. */
  readonly data: { readonly name: string; readonly testFraction: number; readonly seed: number };
}

const key = "classifier";

/** The notes of a checkpoint that carry `card`. */
export const cardNotes = (card: ClassifierCard): Record<string, string> => ({ [key]: JSON.stringify(card) });

/** The card in the notes of the checkpoint `path`. Throws `FormatError` when there is none or it is damaged. */
export function readCard(path: string, notes: Readonly<Record<string, string>>): ClassifierCard {
  const text = notes[key];
  if (text === undefined)
    throw new FormatError(`${path}: this checkpoint is not one of an image classifier (it has no class names)`);
  let card: Partial<ClassifierCard> | null;
  try {
    card = JSON.parse(text);
  } catch {
    throw new FormatError(`${path}: the description of the classifier is not valid JSON`);
  }
  if (!isCard(card)) throw new FormatError(`${path}: the description of the classifier is incomplete`);
  return card;
}

const isCard = (card: Partial<ClassifierCard> | null): card is ClassifierCard => {
  if (typeof card !== "object" || card === null) return false;
  const { model, classes, input, data } = card;
  return (
    typeof model?.name === "string" &&
    typeof model.options === "object" &&
    Array.isArray(classes) &&
    classes.every((name) => typeof name === "string") &&
    Array.isArray(input?.transforms) &&
    [input.height, input.width, input.channels].every((n) => Number.isInteger(n) && n > 0) &&
    typeof data?.name === "string"
  );
};
