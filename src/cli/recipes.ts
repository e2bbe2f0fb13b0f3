import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ManabiError, unknownName } from "../core/errors.ts";
import type { Recipe } from "../train/recipe.ts";
import { UsageError } from "./shell.ts";

/** The recipes that come with the package; loaded when asked for. */
const known: Readonly<Record<string, () => Promise<{ readonly default: Recipe }>>> = {
  "mnist-resnet": () => import("../../recipes/mnist-resnet.ts"),
  "cifar10-resnet20": () => import("../../recipes/cifar10-resnet20.ts"),
  classify: () => import("../../recipes/classify.ts"),
};

export const recipeNames: readonly string[] = Object.keys(known);

/** Whether a word names the file of a recipe of the user's own. */
const isFile = (name: string): boolean => /\.[cm]?[jt]s$/.test(name);

/** The recipe called `name`, or the default export of the module at that path. Throws with the nearest names. */
export async function loadRecipe(name: string): Promise<Recipe> {
  if (isFile(name)) return loadFile(name);
  if (!Object.hasOwn(known, name)) throw new UsageError(unknownName("recipe", name, recipeNames).message);
  return (await known[name]()).default;
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
