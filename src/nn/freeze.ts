import { ManabiError, unknownName } from "../core/errors.ts";
import type { Parametrized } from "../ops/grad.ts";
import type { Module, Param } from "./module.ts";

/** Which parts of a module are meant: prefixes of keys that end where a name ends ("layer1" is "layer1.0.conv1.weight",
 *  not "layer10.weight"), or a test of keys of modules and parameters; the module itself has the key "". */
export type KeyMatch = readonly string[] | ((key: string) => boolean);

/** The parameters of a module that are trained. */
export interface Trainable extends Parametrized {
  namedParameters(): Iterable<readonly [name: string, param: Param]>;
}

/** Whether `key` is `prefix` or below it. */
export const isBelow = (key: string, prefix: string): boolean => key === prefix || key.startsWith(`${prefix}.`);

/** The parameters of a module whose keys `match`, for `valueAndGrad` and `optimizer`: nothing else gets a gradient.
 *  Throws where there is none. */
export function trainable(module: Module, match: KeyMatch): Trainable {
  const matches = matcher(module, match);
  const chosen = [...module.namedParameters()].filter(([name]) => matches(name));
  if (!chosen.length) throw new ManabiError(`${module.constructor.name}: no parameter is left to train`);
  return { namedParameters: () => chosen };
}

/**
 * Freezes the parts of a module that `match`: returns the parameters of the rest, and puts the frozen modules in
 * evaluation mode, so that batch normalization keeps its statistics and dropout drops nothing, and all others in training
 * mode. The modes last until `train`, `eval` or the next `freeze`; `inEvalMode` and evaluations bring each module's own
 * mode back. `freeze(model, [])` trains everything.
 *
 *     const rest = freeze(model, ["conv1", "bn1", "layer1"]);
 *     const opt = optimizer(rest, sgd({ lr: 0.01 }));
 *     const [loss, grads] = valueAndGrad(rest, () => crossEntropy(model.forward(x), y));
 */
export function freeze(module: Module, match: KeyMatch): Trainable {
  const frozen = matcher(module, match);
  const rest = trainable(module, (key) => !frozen(key));
  // Parents come first, so a child's own mode has the last word.
  for (const [name, m] of module.namedModules()) m.train(!frozen(name));
  return rest;
}

/** `match` as a test of keys. Throws with the nearest keys for a prefix that nothing has. */
function matcher(module: Module, match: KeyMatch): (key: string) => boolean {
  if (typeof match === "function") return match;
  const keys = [...[...module.namedModules()].map(([name]) => name), ...module.variables().keys()].filter(Boolean);
  for (const prefix of match)
    if (!keys.includes(prefix)) throw unknownName(`part of ${module.constructor.name}`, prefix, shortest(keys));
  return (key) => match.some((prefix) => isBelow(key, prefix));
}

/** Keys of one or two names: enough for a hint. */
const shortest = (keys: readonly string[]): string[] => keys.filter((key) => key.split(".").length <= 2);
