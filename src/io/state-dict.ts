import { ManabiError } from "../core/errors.ts";

export interface StateDictOptions {
  /** Where in the checkpoint the state dict is: keys joined by dots, such as "state_dict" or "model.ema". May be left
   *  out where the file holds only one. */
  readonly at?: string;
  /** Removed from the start of every name, such as "module." of DataParallel. */
  readonly prefix?: string;
}

/** Deeper dicts are not looked into. */
const deepest = 8;

/** The tensors by name in what a checkpoint holds: the value itself, or a dict inside of it. Throws with the candidates
 *  where there is a choice. */
export function findStateDict<T>(
  label: string,
  root: unknown,
  isTensor: (value: unknown) => value is T,
  { at, prefix = "" }: StateDictOptions,
): Map<string, T> {
  const candidates = stateDicts(root, isTensor);
  const list = [...candidates].map(([path, { size }]) => `"${path}" (${size} tensors)`).join(", ");
  if (!candidates.size) throw new ManabiError(`${label}: there is no state dict (a dict of tensors by name) in it`);
  if (at === undefined && candidates.size > 1)
    throw new ManabiError(`${label}: choose one of its state dicts with { at }: ${list}`);
  const found = at === undefined ? [...candidates.values()][0] : candidates.get(at);
  if (!found) throw new ManabiError(`${label}: there is no state dict at "${at}"; it has ${list}`);
  if (prefix === "") return found;
  const other = [...found.keys()].find((name) => !name.startsWith(prefix));
  if (other !== undefined)
    throw new ManabiError(`${label}: the name "${other}" does not begin with the prefix "${prefix}"`);
  return new Map([...found].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Every dict with names as keys and tensors alone as values, by its path. A value that is met again is not looked
 *  into again: a file may refer to one dict many times. */
function stateDicts<T>(root: unknown, isTensor: (value: unknown) => value is T): Map<string, Map<string, T>> {
  const found = new Map<string, Map<string, T>>();
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: readonly string[]): void => {
    if (!(value instanceof Map) || seen.has(value) || path.length > deepest) return;
    seen.add(value);
    const entries = [...value];
    if (entries.length && entries.every(([key, v]) => typeof key === "string" && isTensor(v)))
      found.set(path.join("."), value as Map<string, T>);
    else for (const [key, child] of entries) if (typeof key === "string") visit(child, [...path, key]);
  };
  visit(root, []);
  return found;
}
