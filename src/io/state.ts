import type { DType, HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError, nearest, showShape } from "../core/errors.ts";

/** A value of a state tree that has no children. */
export type StateLeaf = HostArray | string | number | boolean | null;

/** What a part of a run remembers: records whose leaves are arrays and scalars. Keys may hold dots, not slashes. */
export interface StateTree {
  readonly [key: string]: StateTree | StateLeaf;
}

/** The form of a state tree: arrays are told by dtype and shape alone; the values of scalars do not matter. */
export interface StateLayout {
  readonly [key: string]:
    | StateLayout
    | { readonly dtype: DType; readonly shape: readonly number[] }
    | Exclude<StateLeaf, HostArray>;
}

/** Something a checkpoint saves and brings back: a model, an optimizer, a schedule, a random stream, a data cursor. */
export interface Stateful {
  /** All that is needed to go on bit for bit; the arrays may be live ones, they are written before anything runs on. */
  state(): StateTree | Promise<StateTree>;
  /** Takes a state back; throws when it does not fit. */
  restore(state: StateTree): void | Promise<void>;
  /** What `restore` expects, if that is fixed: lets every difference of every part be reported before anything changes. */
  layout?(): StateLayout;
}

export const isHostArray = (value: unknown): value is HostArray =>
  typeof value === "object" && value !== null && "data" in value && ArrayBuffer.isView(value.data);

/** Scalars JSON lacks; a list marks them, because a state tree has no lists. */
const special = new Map<string, number>([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/** Splits a tree into arrays by path (`model/conv1.weight`) and a JSON text of the rest, keys sorted, so that equal
 *  trees give equal text. */
export function flattenState(tree: StateTree): { tensors: Map<string, HostArray>; json: string } {
  const tensors = new Map<string, HostArray>();
  const encode = (value: unknown, path: string): unknown => {
    if (isHostArray(value)) {
      tensors.set(path, value);
      return ["tensor"];
    }
    if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
      return [Object.is(value, -0) ? "-0" : String(value)];
    if (value === null || typeof value === "number" || typeof value === "string" || typeof value === "boolean")
      return value;
    if (typeof value !== "object" || ![Object.prototype, null].includes(Object.getPrototypeOf(value)))
      throw new ManabiError(`state "${path}" is ${describe(value)}; a state holds arrays, scalars and plain records`);
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(fields.map(([key, child]) => [key, encode(child, join(path, key))]));
  };
  return { json: JSON.stringify(encode(tree, "")), tensors };
}

const join = (path: string, key: string): string => {
  if (key === "" || key.includes("/"))
    throw new ManabiError(`state key "${key}" in "${path}": keys are not empty and hold no "/"`);
  return path ? `${path}/${key}` : key;
};

const describe = (value: unknown): string =>
  Array.isArray(value) ? "a list" : typeof value === "object" ? `a ${value?.constructor.name}` : String(value);

/** The tree that `flattenState` split; throws `FormatError` when text and arrays do not belong together. */
export function unflattenState(json: string, tensors: ReadonlyMap<string, HostArray>): StateTree {
  let used = 0;
  const decode = (value: unknown, path: string): StateTree | StateLeaf => {
    if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      return value;
    if (!Array.isArray(value)) return decodeRecord(Object.entries(value as object), path);
    const scalar = special.get(value[0]);
    if (scalar !== undefined) return scalar;
    const tensor = tensors.get(path);
    if (!tensor) throw new FormatError(`the state names the tensor "${path}", which is not there`);
    used++;
    return tensor;
  };
  const decodeRecord = (fields: [string, unknown][], path: string): StateTree =>
    Object.fromEntries(fields.map(([key, child]) => [key, decode(child, path ? `${path}/${key}` : key)]));
  let root: unknown;
  try {
    root = JSON.parse(json);
  } catch {
    throw new FormatError("the state is not valid JSON");
  }
  if (typeof root !== "object" || root === null || Array.isArray(root)) throw new FormatError("the state is no record");
  const tree = decodeRecord(Object.entries(root), "");
  if (used !== tensors.size) throw new FormatError(`${tensors.size - used} tensors are not named by the state`);
  return tree;
}

/** Every way in which `state` differs from what `layout` expects, one line each. */
export function compareState(state: StateTree, layout: StateLayout): string[] {
  const [found, wanted] = [leaves(state), leaves(layout)];
  const lines: string[] = [];
  for (const [key, want] of wanted) {
    const have = found.get(key);
    if (have === undefined) {
      const [near] = nearest(
        key,
        [...found.keys()].filter((other) => !wanted.has(other)),
        1,
      );
      lines.push(`missing "${key}"${near ? ` (the checkpoint has "${near}")` : ""}`);
    } else if (have !== want) lines.push(`"${key}" is ${have} in the checkpoint, ${want} here`);
  }
  for (const key of found.keys()) if (!wanted.has(key)) lines.push(`extra "${key}"`);
  return lines;
}

/** Path and form of every array and scalar. */
function leaves(tree: StateTree | StateLayout): Map<string, string> {
  const out = new Map<string, string>();
  const walk = (node: object, path: string) => {
    for (const [key, value] of Object.entries(node)) {
      const at = path ? `${path}/${key}` : key;
      if (typeof value !== "object" || value === null) out.set(at, "a scalar");
      else if (Array.isArray(value.shape)) out.set(at, `${value.dtype} ${showShape(value.shape)}`);
      else walk(value, at);
    }
  };
  walk(tree, "");
  return out;
}
