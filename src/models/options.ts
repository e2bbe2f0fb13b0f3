import { unknownName } from "../core/errors.ts";
import { ManabiError } from "../index.ts";

/** Options of a model by name; each family checks its own. */
export type ModelOptions = Readonly<Record<string, unknown>>;

/** Throws where a model has no such option, or it is of another kind than its default. */
export function checkOptions(name: string, options: ModelOptions, defaults: ReadonlyMap<string, unknown>): void {
  for (const [key, value] of Object.entries(options)) {
    if (!defaults.has(key)) throw unknownName(`option of ${name}`, key, defaults.keys());
    const [got, want] = [kindOf(value), kindOf(defaults.get(key))];
    if (got !== want)
      throw new ManabiError(`${name}: option ${key} is ${JSON.stringify(value)}, a ${got}; it takes a ${want}`);
  }
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? "list" : typeof value);
