import { unknownName } from "../core/errors.ts";
import { ManabiError, type Shape } from "../index.ts";
import type { Layer } from "../nn/index.ts";

/** Options of a model by name; each family checks its own. */
export type ModelOptions = Readonly<Record<string, unknown>>;

/** What a family's file exports. */
interface FamilyModule<C extends object> {
  readonly variants: Readonly<Record<string, Partial<C>>>;
  /** The value of every option that a variant leaves open; an option that is not here does not exist. */
  readonly defaults: C;
  create(config: Partial<C>): Layer;
}

/** What is known of a variant without loading its family. */
export interface Variant {
  /** Input that it was made for, without the batch; others may work, too. */
  readonly input: Shape;
  /** Options that suit images of less than 64 pixels, where they differ. */
  readonly small?: ModelOptions;
}

/** Models that share an architecture, a file and a paper. */
export interface Family {
  readonly title: string;
  readonly paper: string;
  readonly variants: Readonly<Record<string, Variant>>;
  create(variant: string, options: ModelOptions): Promise<Layer>;
}

interface FamilyDefinition<C extends object> extends Omit<Family, "create"> {
  load(): Promise<FamilyModule<C>>;
}

const family = <C extends object>({ load, ...facts }: FamilyDefinition<C>): Family => ({
  ...facts,
  async create(variant, options) {
    const { variants, defaults, create } = await load();
    checkOptions(variant, options, new Map(Object.entries(defaults)));
    return create({ ...variants[variant], ...(options as Partial<C>) });
  },
});

const imagenet: Variant = { input: [3, 224, 224], small: { stem: "cifar" } };
const cifar: Variant = { input: [3, 32, 32] };

/** Every family of models; its code is loaded when one of its variants is made. */
export const models: Readonly<Record<string, Family>> = {
  resnet: family({
    title: "ResNet",
    paper: "He, Zhang, Ren, Sun 2015: Deep Residual Learning for Image Recognition (arXiv:1512.03385)",
    variants: {
      resnet18: imagenet,
      resnet34: imagenet,
      resnet50: imagenet,
      resnet101: imagenet,
      resnet152: imagenet,
      cifar_resnet20: cifar,
      cifar_resnet32: cifar,
      cifar_resnet44: cifar,
      cifar_resnet56: cifar,
      cifar_resnet110: cifar,
      mnist_resnet: { input: [1, 28, 28] },
    },
    load: () => import("./resnet.ts"),
  }),
};

/** Names of all models. */
export const modelNames = (): string[] => Object.values(models).flatMap(({ variants }) => Object.keys(variants));

/** The family and the facts of a model. Throws with the nearest names for an unknown one. */
export function findModel(name: string): { readonly family: Family; readonly variant: Variant } {
  for (const family of Object.values(models))
    if (Object.hasOwn(family.variants, name)) return { family, variant: family.variants[name] };
  throw unknownName("model", name, modelNames());
}

/**
 * A model by name, such as `createModel("resnet18", { numClasses: 10 })`; it has no values before `initialize` or
 * `loadStateDict`. Throws with the nearest names for an unknown model or option.
 */
export const createModel = async (name: string, options: ModelOptions = {}): Promise<Layer> =>
  findModel(name).family.create(name, options);

function checkOptions(name: string, options: ModelOptions, defaults: ReadonlyMap<string, unknown>): void {
  for (const [key, value] of Object.entries(options)) {
    if (!defaults.has(key)) throw unknownName(`option of ${name}`, key, defaults.keys());
    const [got, want] = [kindOf(value), kindOf(defaults.get(key))];
    if (got !== want)
      throw new ManabiError(`${name}: option ${key} is ${JSON.stringify(value)}, a ${got}; it takes a ${want}`);
  }
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? "list" : typeof value);
