import { ManabiError } from "../core/errors.ts";

/**
 * The learning rate of a step, counted from 0: a plain function of the step, so that it is readable at any time, goes
 * on exactly after a resume, and composes. Past its last step a schedule stays where it ended.
 */
export type Schedule = (step: number) => number;

/** A schedule, or one rate for all steps. */
export type Rate = number | Schedule;

export const asSchedule = (rate: Rate): Schedule => (typeof rate === "number" ? () => rate : rate);

function checkSteps(name: string, what: string, steps: number): void {
  if (!(steps > 0) || !Number.isFinite(steps))
    throw new ManabiError(`${name}: ${what} is ${steps}; a schedule lasts at least one step`);
}

/** From `from` to `to` as `t` goes from 0 to 1: half a cosine, or a line. */
const anneal = {
  cos: (from: number, to: number, t: number) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * t)),
  linear: (from: number, to: number, t: number) => from + (to - from) * t,
};

/** The same rate at every step. */
export const constant =
  (lr: number): Schedule =>
  () =>
    lr;

/** `lr`, multiplied by `gamma` every `stepSize` steps. */
export function stepLR(lr: number, { stepSize, gamma = 0.1 }: { stepSize: number; gamma?: number }): Schedule {
  checkSteps("stepLR", "stepSize", stepSize);
  return (step) => lr * gamma ** Math.floor(step / stepSize);
}

/** `lr`, multiplied by `gamma` at each of the `milestones`. */
export const multiStepLR =
  (lr: number, { milestones, gamma = 0.1 }: { milestones: readonly number[]; gamma?: number }): Schedule =>
  (step) =>
    lr * gamma ** milestones.filter((m) => step >= m).length;

/** `lr`, multiplied by `gamma` at every step. */
export const exponentialLR =
  (lr: number, { gamma }: { gamma: number }): Schedule =>
  (step) =>
    lr * gamma ** step;

/** `lr` times a factor that goes on a line from `startFactor` to `endFactor` in `totalSteps` steps. */
export function linearLR(
  lr: number,
  totalSteps: number,
  { startFactor = 1 / 3, endFactor = 1 }: { startFactor?: number; endFactor?: number } = {},
): Schedule {
  checkSteps("linearLR", "totalSteps", totalSteps);
  return (step) => lr * anneal.linear(startFactor, endFactor, Math.min(1, step / totalSteps));
}

/** `lr` (1 - step / totalSteps)^power. */
export function polynomialLR(lr: number, totalSteps: number, { power = 1 }: { power?: number } = {}): Schedule {
  checkSteps("polynomialLR", "totalSteps", totalSteps);
  return (step) => lr * (1 - Math.min(1, step / totalSteps)) ** power;
}

/** Half a cosine from `lr` down to `minLr` (Loshchilov and Hutter 2017, without restarts). */
export function cosineAnnealing(lr: number, totalSteps: number, { minLr = 0 }: { minLr?: number } = {}): Schedule {
  checkSteps("cosineAnnealing", "totalSteps", totalSteps);
  return (step) => anneal.cos(lr, minLr, Math.min(1, step / totalSteps));
}

export interface OneCycleOptions {
  /** Part of the steps in which the rate rises. */
  readonly pctStart?: number;
  /** The first rate is `maxLr / divFactor`. */
  readonly divFactor?: number;
  /** The last rate is the first one over `finalDivFactor`. */
  readonly finalDivFactor?: number;
  readonly anneal?: "cos" | "linear";
  /** Falls back to the first rate as fast as it rose, and only then to the last one. */
  readonly threePhase?: boolean;
}

/** Rises to `maxLr` and falls to almost nothing in `totalSteps` steps (Smith and Topin 2018; PyTorch's OneCycleLR). */
export function oneCycle(maxLr: number, totalSteps: number, options: OneCycleOptions = {}): Schedule {
  const { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4, anneal: form = "cos", threePhase = false } = options;
  checkSteps("oneCycle", "totalSteps", totalSteps);
  if (!(pctStart >= 0 && pctStart <= (threePhase ? 0.5 : 1)))
    throw new ManabiError(`oneCycle: pctStart is ${pctStart}; it is within 0..${threePhase ? 0.5 : 1}`);
  const first = maxLr / divFactor;
  const last = first / finalDivFactor;
  const peak = pctStart * totalSteps - 1;
  const end = totalSteps - 1;
  const phases = threePhase
    ? [
        { until: peak, from: first, to: maxLr },
        { until: 2 * peak, from: maxLr, to: first },
        { until: end, from: first, to: last },
      ]
    : [
        { until: peak, from: first, to: maxLr },
        { until: end, from: maxLr, to: last },
      ];
  return (step) => {
    let start = 0;
    for (const { until, from, to } of phases) {
      if (step <= until) return anneal[form](from, to, until > start ? (step - start) / (until - start) : 1);
      start = until;
    }
    return last;
  };
}

/** Each schedule in its turn: the next one starts, at its own step 0, at the next milestone. */
export function sequential(schedules: readonly Rate[], milestones: readonly number[]): Schedule {
  if (milestones.length !== schedules.length - 1 || milestones.some((m, i) => i > 0 && m <= milestones[i - 1]))
    throw new ManabiError(
      `sequential: ${schedules.length} schedules need ${schedules.length - 1} rising milestones, got [${milestones}]`,
    );
  const parts = schedules.map(asSchedule);
  return (step) => {
    const at = milestones.filter((m) => step >= m).length;
    return parts[at](step - (at > 0 ? milestones[at - 1] : 0));
  };
}

/** Rises in `steps` steps on a line from `startFactor` times the first rate of `rate`, which then takes its course. */
export function warmup(rate: Rate, { steps, startFactor = 1e-3 }: { steps: number; startFactor?: number }): Schedule {
  if (steps === 0) return asSchedule(rate);
  const schedule = asSchedule(rate);
  return sequential([linearLR(schedule(0), steps, { startFactor }), schedule], [steps]);
}
