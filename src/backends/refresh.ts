import type { Instruction } from "../compiler/instruction.ts";
import { reads } from "../compiler/updates.ts";
import type { TypedArray } from "../core/dtype.ts";
import { timesWritten } from "./backend.ts";

type Run = (inputs: readonly TypedArray[]) => void;

/** Runs the part of a program that is kept when one of the inputs it reads is not what it was. */
export function whenChanged(once: readonly Instruction[], run: Run): Run {
  const places = once.flatMap(reads).map((b) => b.place);
  const used = [...new Set(places.flatMap((place) => (place.kind === "input" ? [place.index] : [])))];
  const last: TypedArray[] = [];
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
