/** Names that other libraries give to the tensors of a model, as rules from our own keys. */
import { concat, fromHost, type HostArray, ManabiError, type Shape, type Tensor } from "../../index.ts";
import type { ModelOptions } from "../options.ts";

/** A replacement in a key. In a string, `%` is the number of what matched among all that match in the model, in its order,
 *  and `{a,b,c}` stands for three tensors that are joined along axis 0. */
export type Rename = readonly [pattern: RegExp, by: string | ((match: string, ...groups: string[]) => string)];

/** How a library lays out the checkpoints of a family. */
export interface Layout {
  readonly library: "timm" | "transformers";
  /** Applied to our keys, one after the other. */
  readonly renames: readonly Rename[];
  /** Our keys whose tensors have the same values in another shape there, such as a Linear that is a convolution. */
  readonly reshaped?: RegExp;
  /** Keys of the file that the family's models have no use for. */
  readonly unused?: RegExp;
  /** Options of our model that make it compute what the library's computes. */
  options?(model: string): ModelOptions;
}

/** The names under which the file has each of our keys; more than one where tensors are to be joined. */
export type Names = ReadonlyMap<string, readonly string[]>;

/** Our keys as a layout names them; without one, as they are. */
export function namesIn(layout: Layout | null, keys: Iterable<string>): Names {
  const ours = [...keys];
  let theirs = ours;
  for (const [pattern, by] of layout?.renames ?? []) {
    const numbers = new Map<string, number>();
    for (const key of theirs) {
      const [match] = pattern.exec(key) ?? [];
      if (match !== undefined && !numbers.has(match)) numbers.set(match, numbers.size);
    }
    theirs = theirs.map((key) => {
      if (typeof by !== "string") return key.replace(pattern, by);
      const [match = ""] = pattern.exec(key) ?? [];
      return key.replace(pattern, by.replace("%", String(numbers.get(match))));
    });
  }
  return new Map(ours.map((key, i) => [key, expanded(theirs[i])]));
}

/** "a.{b,c}.d" as "a.b.d" and "a.c.d". */
function expanded(name: string): string[] {
  const [all, list] = /\{(.*)\}/.exec(name) ?? [];
  return all && list ? list.split(",").map((part) => name.replace(all, part)) : [name];
}

/** The layout in which a file has the largest share of a model's keys, and that share; null is our own. */
export function detectLayout(
  keys: readonly string[],
  layouts: readonly Layout[],
  has: (name: string) => boolean,
): { readonly layout: Layout | null; readonly share: number } {
  let [best, most] = [null as Layout | null, 0];
  for (const layout of [null, ...layouts]) {
    const found = [...namesIn(layout, keys).values()].filter((names) => names.every(has)).length;
    if (found > most) [best, most] = [layout, found];
  }
  return { layout: best, share: most / keys.length };
}

/** The shape that our tensor gets of those in the file; null where they do not go together. */
export function joinedShape(shapes: readonly Shape[]): Shape | null {
  const [[first, ...rest]] = shapes;
  if (shapes.length === 1) return shapes[0];
  if (shapes.some((shape) => shape.length !== rest.length + 1 || shape.slice(1).join() !== rest.join())) return null;
  return [shapes.reduce((n, [d]) => n + d, first - shapes[0][0]), ...rest];
}

/**
 * The tensors of a file under our keys. What the file has beyond them keeps its name, unless the layout has no use for it;
 * what is not in it is left out. `shapes` are those of our model.
 */
export function translated(
  layout: Layout | null,
  shapes: ReadonlyMap<string, Shape>,
  state: ReadonlyMap<string, HostArray>,
): Map<string, HostArray | Tensor> {
  if (!layout) return new Map(state);
  const rest = new Map([...state].filter(([name]) => !layout.unused?.test(name)));
  const ours = new Map<string, HostArray | Tensor>();
  for (const [key, names] of namesIn(layout, shapes.keys())) {
    const parts = names.flatMap((name) => state.get(name) ?? []);
    if (parts.length < names.length) continue;
    ours.set(key, reshaped(layout, key, joined(names, parts), shapes.get(key) as Shape));
    for (const name of names) rest.delete(name);
  }
  return new Map([...ours, ...rest]);
}

function joined(names: readonly string[], parts: readonly HostArray[]): HostArray | Tensor {
  if (parts.length === 1) return parts[0];
  if (joinedShape(parts.map(({ shape }) => shape)) === null)
    throw new ManabiError(
      `${names.join(", ")} are joined along axis 0, and their shapes differ: ${parts.map(({ shape }) => `[${shape}]`).join(", ")}`,
    );
  return concat(
    parts.map((part) => fromHost(part)),
    0,
  );
}

function reshaped(layout: Layout, key: string, tensor: HostArray | Tensor, shape: Shape): HostArray | Tensor {
  if (!layout.reshaped?.test(key) || !sameSize(tensor.shape, shape) || "reshape" in tensor) return tensor;
  return { ...tensor, shape };
}

export const sameSize = (a: Shape, b: Shape): boolean => a.reduce((x, y) => x * y, 1) === b.reduce((x, y) => x * y, 1);
