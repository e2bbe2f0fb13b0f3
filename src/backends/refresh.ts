import type { Instruction } from "../compiler/instruction.ts";
import { reads } from "../compiler/updates.ts";
import type { Value } from "../core/value.ts";
import { timesWritten } from "./backend.ts";

/** Runs the part of a program that is kept (hoist.ts) when one of the inputs it reads is not what it was. */
export function whenChanged<V extends Value>(
  once: readonly Instruction[],
  run: (inputs: readonly V[]) => void,
): (inputs: readonly V[]) => void {
  const places = once.flatMap(reads).map((b) => b.place);
  const used = [...new Set(places.flatMap((place) => (place.kind === "input" ? [place.index] : [])))];
  const last: V[] = [];
  const writes: number[] = [];
  let first = true;
  return (inputs) => {
    if (!first && used.every((index, i) => last[i] === inputs[index] && writes[i] === timesWritten(inputs[index])))
      return;
    run(inputs);
    first = false;
    // Noted only now: a run that fails leaves the kept part to be computed again.
    used.forEach((index, i) => {
      last[i] = inputs[index];
      writes[i] = timesWritten(inputs[index]);
    });
  };
}
