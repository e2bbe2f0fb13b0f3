import { evaluate } from "../backends/evaluate.ts";
import { ManabiError, showShape } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { readValues } from "../core/value.ts";
import { isHostArray, type StateLayout, type StateLeaf, type StateTree } from "../io/state.ts";
import { fromHost } from "../ops/tensor.ts";
import { Variable } from "../ops/variable.ts";

/** Variables in nested records. */
export interface VariableTree {
  readonly [key: string]: VariableTree | Variable;
}

const mapTree = <T>(tree: VariableTree, fn: (v: Variable) => T): { [key: string]: T } =>
  Object.fromEntries(
    Object.entries(tree).map(([key, v]) => [key, v instanceof Variable ? fn(v) : (mapTree(v, fn) as T)]),
  );

/** The present values; those in host memory are live until the next step. */
export async function stateOf(tree: VariableTree): Promise<StateTree> {
  const variables: Variable[] = [];
  mapTree(tree, (v) => variables.push(v));
  // Evaluated before anything is awaited: all values are of the same moment.
  const arrays = await readValues(variables, evaluate(variables.map((v) => v.node)));
  return mapTree(tree, (v) => arrays[variables.indexOf(v)]);
}

export const layoutOf = (tree: VariableTree): StateLayout => mapTree(tree, ({ shape, dtype }) => ({ shape, dtype }));

/** Assigns saved values; throws before anything has changed if one is missing or has another form. */
export function restoreVariables(what: string, tree: VariableTree, state: StateTree | StateLeaf | undefined): void {
  const assignments: (() => void)[] = [];
  const walk = (tree: VariableTree, saved: unknown, path: string) => {
    for (const [key, v] of Object.entries(tree)) {
      const at = path ? `${path}/${key}` : key;
      const value: unknown = saved !== null && typeof saved === "object" ? Reflect.get(saved, key) : undefined;
      if (!(v instanceof Variable)) walk(v, value, at);
      else if (!isHostArray(value)) throw new ManabiError(`${what}: the state has no array "${at}"`);
      else if (!sameShape(value.shape, v.shape) || value.dtype !== v.dtype)
        throw new ManabiError(
          `${what}: "${at}" is ${value.dtype}${showShape(value.shape)} in the state, ${v.dtype}${showShape(v.shape)} here`,
        );
      else assignments.push(() => v.assign(fromHost(value)));
    }
  };
  walk(tree, state, "");
  for (const assign of assignments) assign();
}

/** A saved count of steps. */
export function savedStep(what: string, step: StateTree | StateLeaf | undefined): number {
  if (typeof step === "number" && Number.isInteger(step) && step >= 0) return step;
  throw new ManabiError(`${what}: the state's step is ${JSON.stringify(step)}; it must be an integer >= 0`);
}
