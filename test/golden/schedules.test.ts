/** Learning rates of 50 steps against PyTorch's schedulers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cosineAnnealing,
  exponentialLR,
  linearLR,
  multiStepLR,
  oneCycle,
  polynomialLR,
  type Schedule,
  stepLR,
  warmup,
} from "../../src/optim/index.ts";
import { readJson } from "./fixture.ts";

interface ScheduleCase {
  readonly name: string;
  readonly kind: string;
  readonly lr: number;
  /** PyTorch's options of the scheduler; the table entry of the kind says their type. */
  readonly attrs: never;
  readonly rates: readonly number[];
}

interface OneCycleLR {
  readonly totalSteps: number;
  readonly pctStart?: number;
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
  readonly annealStrategy?: "cos" | "linear";
  readonly threePhase?: boolean;
}
interface WarmupCosine {
  readonly warmupSteps: number;
  readonly totalSteps: number;
  readonly startFactor?: number;
  readonly etaMin?: number;
}

const table: Readonly<Record<string, (lr: number, attrs: never) => Schedule>> = {
  stepLR,
  multiStepLR,
  exponentialLR,
  cosineAnnealingLR: (lr, { tMax, etaMin }: { tMax: number; etaMin?: number }) =>
    cosineAnnealing(lr, tMax, { minLr: etaMin }),
  oneCycleLR: (lr, { totalSteps, annealStrategy, ...options }: OneCycleLR) =>
    oneCycle(lr, totalSteps, { ...options, anneal: annealStrategy }),
  polynomialLR: (lr, { totalIters, power }: { totalIters: number; power?: number }) =>
    polynomialLR(lr, totalIters, { power }),
  linearLR: (lr, { totalIters, startFactor }: { totalIters: number; startFactor?: number }) =>
    linearLR(lr, totalIters, { startFactor }),
  warmupCosine: (lr, { warmupSteps, totalSteps, startFactor, etaMin }: WarmupCosine) =>
    warmup(cosineAnnealing(lr, totalSteps - warmupSteps, { minLr: etaMin }), { steps: warmupSteps, startFactor }),
};

for (const { name, kind, lr, attrs, rates } of await readJson<ScheduleCase[]>("schedules.json"))
  test(name, () => {
    const make = table[kind];
    assert.ok(make, `no call for kind ${kind}; add it to the table`);
    const schedule = make(lr, attrs);
    rates.forEach((want, step) => {
      const got = schedule(step);
      // PyTorch computes some schedules step from step, so its last rates, near 0, carry rounding errors of the first.
      assert.ok(Math.abs(got - want) <= 1e-10 * want + 1e-15, `step ${step}: got ${got}, want ${want}`);
    });
  });
