/** Loops on every backend against the reference: nested, sharing sequences, both directions, with gradients. */
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import type { DType } from "../../src/core/dtype.ts";
import type { Shape } from "../../src/core/shape.ts";
import { sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { scan } from "../../src/ops/scan.ts";
import { Tensor } from "../../src/ops/tensor.ts";
import { constantLike } from "../../src/primitives/leaf.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms, backendsUnderTest, type ConformanceCase, lacks } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";

type Loss = (...inputs: Tensor[]) => readonly Tensor[];

let seed = 0;
const random = (shape: Shape, dtype: DType) => new Tensor(leaf(dtype, shape, uniform(sizeOf(shape), ++seed)));

/** Values, gradients, and gradients of the gradients. */
function cases(name: string, fn: Loss, inputs: readonly Tensor[]): ConformanceCase[] {
  const gradients = (f: (...xs: Node[]) => readonly Node[]) => (xs: readonly Node[]) => {
    const outs = f(...xs);
    return backward(
      outs,
      outs.map((o) => constantLike(o, 0.7)),
      xs,
    ).filter((g) => g !== null);
  };
  const value = (...xs: Node[]) => fn(...xs.map((x) => new Tensor(x))).map((t) => t.node);
  const first = gradients(value);
  const second = gradients((...xs) => first(xs));
  const nodes = inputs.map((t) => t.node);
  return [
    { name, outputs: value(...nodes) },
    { name: `${name}, gradient`, outputs: first(nodes) },
    { name: `${name}, second gradient`, outputs: second(nodes) },
  ];
}

function casesIn(dtype: "f32" | "f64"): ConformanceCase[] {
  const made = (shape: Shape) => random(shape, dtype);
  return [
    ...cases(
      "swapped carries",
      (a, b, xs) =>
        scan(([p, q]: readonly [Tensor, Tensor], x: Tensor) => [[q, p.mul(x)] as const, p.add(q)], [a, b], xs).flat(),
      [made([3]), made([3]), made([5, 3])],
    ),
    ...cases(
      "a carry that is stacked unchanged, a constant carry, a stack of the sequence",
      (a, xs) => {
        const [carry, stacks] = scan((p: Tensor, x: Tensor) => [p.mul(0.5).add(x), [p, x, x.mul(x)]], a, xs, {
          reverse: true,
        });
        return [carry, ...stacks];
      },
      [made([2, 2]), made([4, 2, 2])],
    ),
    ...cases(
      "an inner loop over the outer sequence itself",
      (a, xs) => {
        const [carry, ys] = scan(
          (p: Tensor, x: Tensor) => {
            const [inner, zs] = scan((q: Tensor, y: Tensor) => [q.mul(y).tanh(), q.add(y)], p.add(x), xs);
            return [inner, zs.sum(0)];
          },
          a,
          xs,
        );
        return [carry, ys];
      },
      [made([3]), made([4, 3])],
    ),
    ...cases(
      "an inner loop over the outer slice, using the outer slice as a constant as well",
      (a, xs) => {
        const [carry, ys] = scan(
          (p: Tensor, x: Tensor) => {
            const [inner] = scan((q: Tensor, y: Tensor) => [q.add(y.mul(x.sum(0))).sin(), []], p, x, { reverse: true });
            return [inner, inner.mul(p)];
          },
          a,
          xs,
        );
        return [carry, ys];
      },
      [made([2]), made([3, 5, 2])],
    ),
    ...cases(
      "an outer slice that only the inner loop reads",
      (a, xs, zs) => {
        const [carry, ys] = scan(
          ([p]: readonly Tensor[], [x]: readonly Tensor[]) => {
            const [inner] = scan((q: Tensor, z: Tensor) => [q.mul(x).add(z), []], p, zs);
            return [[inner], inner];
          },
          [a],
          [xs],
        );
        return [...carry, ys];
      },
      [made([2]), made([3, 2]), made([4, 2])],
    ),
    ...cases(
      "three levels, with matrices",
      (h, w, xs) => {
        const [carry] = scan(
          (p: Tensor, x: Tensor) => {
            const [q, stack] = scan(
              (q: Tensor, y: Tensor) => {
                const [r] = scan((r: Tensor, z: Tensor) => [r.matmul(w).add(z.sum(0)).tanh(), []], q, y);
                return [r, r.sum()];
              },
              p,
              x,
            );
            return [q.add(stack.sum()), []];
          },
          h,
          xs,
        );
        return [carry];
      },
      [made([2, 3]), made([3, 3]), made([2, 2, 2, 2])],
    ),
    ...cases(
      "two loops over one sequence, one of them backwards",
      (a, xs) => {
        const [f, fs] = scan((p: Tensor, x: Tensor) => [p.add(x).tanh(), p], a, xs);
        const [g, gs] = scan((p: Tensor, x: Tensor) => [p.mul(x).add(1), p], a, fs, { reverse: true });
        return [f, g, gs.add(fs)];
      },
      [made([3]), made([6, 3])],
    ),
    ...cases("one step", (a, xs) => scan((p: Tensor, x: Tensor) => [p.add(x), p], a, xs), [made([3]), made([1, 3])]),
    ...cases("no steps", (a, xs) => scan((p: Tensor, x: Tensor) => [p.add(x), p.mul(x)], a, xs), [
      made([3]),
      made([0, 3]),
    ]),
    {
      name: "integer carries beside float ones",
      outputs: scan(
        ([n, p]: readonly Tensor[], x: Tensor) => [[n.add(x.gt(0).cast("i32")), p.add(x)], n.cast(dtype).mul(p)],
        [new Tensor(leaf("i32", [2], [0, 5])), made([2])],
        made([7, 2]),
      )
        .flat()
        .map((t) => t.node),
    },
  ];
}

for (const backend of await backendsUnderTest())
  describe(`loops on ${backend.name}`, () => {
    for (const dtype of ["f32", "f64"] as const)
      test(`values and gradients in ${dtype}`, { skip: lacks(backend, dtype) }, () =>
        assertConforms(backend, casesIn(dtype)),
      );
  });
