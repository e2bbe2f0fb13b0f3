/** Ends, composition and errors of schedules; their values are golden. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  constant,
  cosineAnnealing,
  linearLR,
  oneCycle,
  polynomialLR,
  sequential,
  stepLR,
  warmup,
} from "../../src/optim/index.ts";

test("past its last step a schedule stays where it ended", () => {
  assert.equal(cosineAnnealing(1, 10, { minLr: 0.25 })(1000), 0.25);
  assert.equal(linearLR(1, 10, { endFactor: 0.5 })(11), 0.5);
  assert.equal(polynomialLR(1, 10)(11), 0);
  const cycle = oneCycle(1, 10);
  assert.equal(cycle(9), cycle(12));
});

test("short cycles have no step without a rate", () => {
  for (const threePhase of [false, true])
    for (const steps of [1, 2, 3, 4, 10]) {
      const cycle = oneCycle(1, steps, { threePhase });
      for (let i = 0; i < steps; i++)
        assert.ok(cycle(i) > 0 && cycle(i) <= 1, `${steps} steps, step ${i}: ${cycle(i)}`);
    }
});

test("schedules compose", () => {
  const rate = sequential([constant(1), 0.5, stepLR(0.2, { stepSize: 2 })], [3, 5]);
  assert.deepEqual(
    Array.from({ length: 9 }, (_, i) => Number(rate(i).toFixed(3))),
    [1, 1, 1, 0.5, 0.5, 0.2, 0.2, 0.02, 0.02],
  );
  const warm = warmup(0.1, { steps: 4, startFactor: 0.5 });
  assert.deepEqual(
    [0, 2, 4, 9].map((i) => Number(warm(i).toFixed(4))),
    [0.05, 0.075, 0.1, 0.1],
  );
  assert.equal(warmup(0.1, { steps: 0 })(0), 0.1);
});

test("impossible schedules are refused", () => {
  assert.throws(() => oneCycle(1, 0), /totalSteps is 0; a schedule lasts at least one step/);
  assert.throws(() => oneCycle(1, 10, { pctStart: 1.5 }), /pctStart is 1.5; it is within 0..1/);
  assert.throws(() => oneCycle(1, 10, { pctStart: 0.7, threePhase: true }), /within 0..0.5/);
  assert.throws(() => cosineAnnealing(1, Number.NaN), /totalSteps is NaN/);
  assert.throws(() => stepLR(1, { stepSize: 0 }), /stepSize is 0/);
  assert.throws(() => sequential([1, 2], [3, 2]), /2 schedules need 1 rising milestones, got \[3,2\]/);
});
