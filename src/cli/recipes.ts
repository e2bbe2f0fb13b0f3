import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ManabiError, unknownName } from "../core/errors.ts";
import { type ArgSpec, type ArgValues, parseArgs } from "../train/args.ts";
import type { Recipe } from "../train/recipe.ts";
import { UsageError } from "./shell.ts";

/** The recipes that come with the package; loaded when asked for. */
const known: Readonly<Record<string, () => Promise<{ readonly default: Recipe }>>> = {
  "mnist-resnet": () => import("../../recipes/mnist-resnet.ts"),
  "cifar10-resnet20": () => import("../../recipes/cifar10-resnet20.ts"),
  "few-labels": () => import("../../recipes/few-labels.ts"),
  "vit-cifar10": () => import("../../recipes/vit-cifar10.ts"),
  "cnn-vs-vit": () => import("../../recipes/cnn-vs-vit.ts"),
  simclr: () => import("../../recipes/simclr.ts"),
  transfer: () => import("../../recipes/transfer.ts"),
  "explain-reviews": () => import("../../recipes/explain-reviews.ts"),
  "explain-table": () => import("../../recipes/explain-table.ts"),
  classify: () => import("../../recipes/classify.ts"),
};

export const recipeNames: readonly string[] = Object.keys(known);

/** What `--data` and `--model` without a recipe mean. */
export const generalRecipe = "classify";

/** Whether a word names the file of a recipe of the user's own. */
const isFile = (name: string): boolean => /\.[cm]?[jt]s$/.test(name);

/** The recipe called `name`, or the default export of the module at that path. Throws with the nearest names. */
export async function loadRecipe(name: string): Promise<Recipe> {
  if (isFile(name)) return loadFile(name);
  if (!Object.hasOwn(known, name)) throw new UsageError(unknownName("recipe", name, recipeNames).message);
  return (await known[name]()).default;
}

/** The recipe's name, or null where none is given, and what is left for it: options that the command does not know
 *  belong to the recipe, and the first of them stands in the recipe's place if none is given. */
export function recipeWords(
  first: string | undefined,
  words: readonly string[],
): { readonly name: string | null; readonly rest: readonly string[] } {
  const name = first === undefined || first.startsWith("-") ? null : first;
  return { name, rest: first === undefined || name !== null ? words : [first, ...words] };
}

/** A recipe's arguments from the line of `command`, of its smoke size where that is asked for. */
export function recipeArgs<S extends ArgSpec>(
  command: string,
  recipe: Recipe<S>,
  words: readonly string[],
  smoke = false,
): ArgValues<S> {
  const misplaced = words.find((word) => recipeNames.includes(word));
  if (misplaced) throw new UsageError(`the recipe comes first: manabi ${command} ${misplaced} ...`);
  return parseArgs(recipe.args, words, smoke ? recipe.smoke : {});
}

async function loadFile(path: string): Promise<Recipe> {
  const file = resolve(path);
  if (!existsSync(file))
    throw new UsageError(`${path}: there is no such file; known recipes: ${recipeNames.join(", ")}`);
  const { default: recipe }: { default?: Partial<Recipe> } = await import(pathToFileURL(file).href);
  if (typeof recipe?.run !== "function" || typeof recipe.args !== "object")
    throw new ManabiError(`${path}: its default export is no recipe; make it with recipe({ ... }) from "manabi/train"`);
  return recipe as Recipe; // made by recipe(), which checks the rest
}
