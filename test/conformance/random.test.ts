/** Random graphs on every backend against the reference. */
import { describe, test } from "node:test";
import { assertConforms, backendsUnderTest, type ConformanceCase, computable, lacks } from "../support/conform.ts";
import { GraphSampler } from "../support/random-graph.ts";

const perProgram = 24;

/** The same seed draws the same graph in every dtype, up to what depends on exactness. */
const graphs = (first: number, float: "f32" | "f64" | "f16" | "bf16", steps: number): ConformanceCase[] =>
  Array.from({ length: perProgram }, (_, i) => ({
    name: `seed ${first + i} ${float}`,
    scale: 4,
    outputs: new GraphSampler(first + i, float).sample(steps),
  }));

for (const backend of await backendsUnderTest())
  describe(`random graphs on ${backend.name}`, () => {
    for (let k = 0; k < 4; k++)
      test(`f64, batch ${k}`, { skip: lacks(backend, "f64") }, () =>
        assertConforms(backend, graphs(k * perProgram, "f64", 6 + 4 * k)),
      );
    for (let k = 0; k < 2; k++)
      test(`f32, batch ${k}`, () =>
        assertConforms(backend, computable(backend, graphs(1000 + k * perProgram, "f32", 4 + 2 * k))));
    for (const half of ["f16", "bf16"] as const)
      for (let k = 0; k < 2; k++)
        test(`${half}, batch ${k}`, { skip: lacks(backend, half) }, () =>
          assertConforms(backend, computable(backend, graphs(2000 + k * perProgram, half, 4 + 3 * k))),
        );
  });
