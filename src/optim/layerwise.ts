import { ManabiError } from "../core/errors.ts";
import type { Module } from "../nn/module.ts";
import { stages } from "../nn/stages.ts";
import type { ParamGroup } from "./optimizer.ts";

export interface LayerwiseOptions {
  /** Updates after which one more stage from the head begins to train (Howard and Ruder 2018); 0, the default: all train
   *  from the start. */
  readonly unfreezeEvery?: number;
}

/**
 * Groups of parameters by depth: each of the module's `stages` is trained with `decay` times the rate of the one behind
 * it, the head with the full rate (discriminative rates of ULMFiT, Howard and Ruder 2018; layer-wise decay of ELECTRA and
 * BEiT). What was learned first changes least. Biases and the parameters of normalizations have no weight decay.
 */
export function layerwiseDecay(
  module: Module,
  decay: number,
  { unfreezeEvery = 0 }: LayerwiseOptions = {},
): ParamGroup[] {
  if (!(decay > 0 && decay <= 1))
    throw new ManabiError(`layerwiseDecay: decay is ${decay}; it is a factor above 0 and at most 1`);
  return stages(module)
    .reverse()
    .flatMap(({ parameters }, depth): ParamGroup[] => {
      const own = new Set(parameters);
      const pace = { lrScale: decay ** depth, from: depth * unfreezeEvery };
      return [
        { ...pace, match: (name, param) => own.has(name) && param.rank <= 1, weightDecay: 0 },
        { ...pace, match: (name) => own.has(name) },
      ];
    });
}
