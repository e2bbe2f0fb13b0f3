/** Gradients of composites in f64, of first and second order, against numeric derivatives. */
import { describe, test } from "node:test";
import { Tensor } from "../../src/index.ts";
import { checkGrads } from "../support/check-grads.ts";
import { samples } from "./samples.ts";

describe("gradients of composites", () => {
  for (const [name, [fn, ...points]] of Object.entries(samples))
    test(name, () => checkGrads((...inputs) => fn(...inputs.map((x) => new Tensor(x))).node, points));
});
