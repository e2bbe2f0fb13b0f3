import { evaluate } from "../backends/evaluate.ts";
import type { HostArray } from "../core/dtype.ts";
import { FormatError } from "../core/errors.ts";
import { DataLoader } from "../data/loader.ts";
import { isHostArray, type Stateful, type StateLayout, type StateTree } from "../io/state.ts";
import { Module } from "../nn/module.ts";
import { Generator } from "../ops/random.ts";
import { fromHost } from "../ops/tensor.ts";

/** Something that a checkpoint of a run can hold: a model, a data loader, a random stream, or what says itself how it is
 *  saved, as optimizers do. */
export type Part = Stateful | Module | DataLoader | Generator;

/** How a part is saved and brought back. */
export function statefulOf(part: Part): Stateful {
  if (part instanceof Module) return moduleState(part);
  if (part instanceof DataLoader) return loaderState(part);
  if (part instanceof Generator) return generatorState(part);
  return part;
}

/** Parameters and buffers under their checkpoint keys. */
function moduleState(module: Module): Stateful {
  return {
    state() {
      const named = [...module.variables()];
      const values = evaluate(named.map(([, { node }]) => node));
      return Object.fromEntries(named.map(([name, { shape, dtype }], i) => [name, { shape, dtype, data: values[i] }]));
    },
    layout: () =>
      Object.fromEntries([...module.variables()].map(([name, { shape, dtype }]) => [name, { shape, dtype }])),
    restore: (state) => void module.loadStateDict(new Map(Object.entries(state).filter(isTensorEntry))),
  };
}

const isTensorEntry = (entry: [string, StateTree[string]]): entry is [string, HostArray] => isHostArray(entry[1]);

/** Epoch and number of the next batch. */
function loaderState(loader: DataLoader): Stateful {
  return {
    state: () => ({ ...loader.state() }),
    restore: ({ epoch, batch }) => loader.restore({ epoch: Number(epoch), batch: Number(batch) }),
  };
}

/** Key and counter. */
function generatorState({ state: variable }: Generator): Stateful {
  const { shape, dtype } = variable;
  const layout: StateLayout = { state: { shape, dtype } };
  return {
    state: () => ({ state: { shape, dtype, data: evaluate([variable.node])[0] } }),
    layout: () => layout,
    restore({ state }) {
      if (!isHostArray(state)) throw new FormatError("the state of a random stream is missing");
      variable.assign(fromHost(state));
    },
  };
}

/** A list of numbers that grows, such as results so far, as a part of a checkpoint; restoring fills the list itself. */
export const savedNumbers = (numbers: number[]): Stateful => ({
  state: () => ({ numbers: { shape: [numbers.length], dtype: "f64", data: Float64Array.from(numbers) } }),
  restore({ numbers: saved }) {
    if (!isHostArray(saved)) throw new FormatError("the saved list of numbers is missing");
    numbers.splice(0, numbers.length, ...saved.data);
  },
});
