import { ManabiError } from "../core/errors.ts";
import { isBelow } from "./freeze.ts";
import type { Module } from "./module.ts";

/** Parameters of neighbouring depth. */
export interface Stage {
  /** The key of its first module, such as "layer1". */
  readonly name: string;
  /** Keys of its parameters. */
  readonly parameters: readonly string[];
}

/**
 * The parameters of a module by depth, from the input to the head, in the order of its fields. A stage is whatever a
 * numbered name stands for, however deep it is ("layer1", "features.3", "encoder.layers.encoder_layer_0"), or else one
 * module ("fc", "heads.head"). Normalizations belong to what is before them, and so do parameters that a module with
 * children holds itself, such as positions. ResNet-50 has a stem, four stages and a head, a ViT a stage per block.
 */
export function stages(module: Module): Stage[] {
  const composite = new Set<string>();
  for (const [name, m] of module.namedModules()) if (!m.children().next().done) composite.add(name);
  const found: { name: string; parameters: string[] }[] = [];
  let waiting: string[] = []; // without a stage before them
  const shapes = new Map([...module.namedParameters()].map(([name, { rank }]) => [name, rank]));
  for (const [name, keys] of groups(shapes.keys())) {
    const held = composite.has(ownerOf(keys[0])) && keys.every((key) => ownerOf(key) === ownerOf(keys[0]));
    const alone = held || keys.every((key) => (shapes.get(key) as number) <= 1);
    const last = found.at(-1);
    if (alone && last) last.parameters.push(...keys);
    else if (alone) waiting.push(...keys);
    else {
      found.push({ name, parameters: [...waiting, ...keys] });
      waiting = [];
    }
  }
  if (waiting.length) found.push({ name: ownerOf(waiting[0]), parameters: waiting });
  return found;
}

/** The key of the module that makes the logits: the one whose parameters are the last stage. Throws where that is not
 *  one module. */
export function headOf(module: Module): string {
  const last = stages(module).at(-1);
  const owners = new Set(last?.parameters.map(ownerOf));
  const [head] = owners;
  if (owners.size === 1 && head) return head;
  throw new ManabiError(
    `${module.constructor.name}: its last parameters (${last?.parameters.join(", ") ?? "there are none"}) are not those of one module, which could be its head`,
  );
}

/**
 * Matches all but the last `count` stages: `freeze(model, allButLast(model, 1))` trains the head alone. A module is frozen
 * when all its parameters are; one without parameters, such as dropout, goes with the module that it is in.
 */
export function allButLast(module: Module, count: number): (key: string) => boolean {
  const all = stages(module);
  const open = all.slice(Math.max(0, all.length - count)).flatMap(({ parameters }) => parameters);
  const known = [...module.namedParameters()].map(([name]) => name);
  const holds = (names: readonly string[], key: string) => key === "" || names.some((name) => isBelow(name, key));
  const frozen = (key: string): boolean => (holds(known, key) ? !holds(open, key) : frozen(ownerOf(key)));
  return frozen;
}

const ownerOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf(".")));

/** Keys in runs of the same numbered name or module. */
function groups(keys: Iterable<string>): [name: string, keys: string[]][] {
  const out: [string, string[]][] = [];
  for (const key of keys) {
    const names = key.split(".");
    const numbered = names.slice(0, -1).findIndex((name) => /\d$/.test(name));
    const name = names.slice(0, numbered < 0 ? -1 : numbered + 1).join(".");
    const last = out.at(-1);
    if (last && last[0] === name) last[1].push(key);
    else out.push([name, [key]]);
  }
  return out;
}
