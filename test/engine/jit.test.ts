import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { type BackendName, setBackend } from "../../src/backends/select.ts";
import { guarded } from "../../src/graph/variable.ts";
import { grad, valueAndGrad } from "../../src/ops/grad.ts";
import { jit } from "../../src/ops/jit.ts";
import { type Tensor, tensor, where } from "../../src/ops/tensor.ts";
import { variable } from "../../src/ops/variable.ts";
import { backendsUnderTest } from "../support/conform.ts";

const list = (t: Tensor): number[] => Array.from(t.dataSync());
const vec = (...values: number[]): Tensor => tensor(values);

after(() => setBackend("auto"));

for (const name of ["reference", ...backendsUnderTest().map((b) => b.name)] as BackendName[])
  describe(`jit on ${name}`, () => {
    setBackend(name);
    const on = (title: string, body: () => void) =>
      test(title, () => {
        setBackend(name);
        body();
      });

    on("records once per signature: shapes, dtypes, plain values, structure", () => {
      let traces = 0;
      const scale = jit((x: Tensor, options: { by: number; more: readonly Tensor[] }) => {
        traces++;
        return options.more.reduce((sum, t) => sum.add(t), x.mul(options.by));
      });
      const none = { by: 2, more: [] };
      assert.deepEqual(list(scale(vec(1, 2), none)), [2, 4]);
      assert.deepEqual(list(scale(vec(3, 4), none)), [6, 8]);
      assert.equal(traces, 1);
      assert.deepEqual(list(scale(vec(1, 2, 3), none)), [2, 4, 6]);
      assert.equal(traces, 2, "another shape");
      assert.deepEqual(list(scale(vec(1, 2), { by: 3, more: [] })), [3, 6]);
      assert.equal(traces, 3, "another plain value");
      assert.deepEqual(list(scale(vec(1, 2), { by: 2, more: [vec(1, 1)] })), [3, 5]);
      assert.equal(traces, 4, "another structure");
      assert.deepEqual(list(scale(tensor([1, 2], { dtype: "f64" }), none)), [2, 4]);
      assert.equal(traces, 5, "another dtype");
      scale(vec(0, 0), none);
      assert.equal(traces, 5);
    });

    on("traces anew when a mode that was read has changed, and remembers both", () => {
      let traces = 0;
      let training = true;
      const mode = () => training;
      const step = jit((x: Tensor) => {
        traces++;
        return guarded(mode) ? x.mul(2) : x;
      });
      assert.deepEqual(list(step(vec(1))), [2]);
      training = false;
      assert.deepEqual(list(step(vec(1))), [1]);
      training = true;
      assert.deepEqual(list(step(vec(1))), [2]);
      assert.equal(traces, 2);
    });

    on("results keep the form of what is returned", () => {
      const both = jit((x: Tensor) => ({ sum: x.sum(), parts: [x, x.neg()] }));
      const { sum, parts } = both(vec(1, 2));
      assert.equal(sum.itemSync(), 3);
      assert.deepEqual(parts.map(list), [
        [1, 2],
        [-1, -2],
      ]);
      assert.equal(jit((x: Tensor) => void x.sum())(vec(1)), undefined);
    });

    on("two variables swap", () => {
      const [a, b] = [variable(vec(1, 2)), variable(vec(3, 4))];
      const swap = jit(() => {
        const old = a.value;
        a.assign(b);
        b.assign(old);
      });
      swap();
      assert.deepEqual(
        [list(a), list(b)],
        [
          [3, 4],
          [1, 2],
        ],
      );
      swap();
      assert.deepEqual(
        [list(a), list(b)],
        [
          [1, 2],
          [3, 4],
        ],
      );
    });

    on("three variables rotate, one of them computed", () => {
      const [a, b, c] = [variable(vec(1)), variable(vec(2)), variable(vec(3))];
      const rotate = jit(() => {
        const old = a.value;
        a.assign(b);
        b.assign(c);
        c.assign(old.mul(10));
      });
      rotate();
      rotate();
      assert.deepEqual([list(a), list(b), list(c)], [[3], [10], [20]]);
    });

    on("a read sees the assignment before it, not the one after it", () => {
      const v = variable(vec(1, 1));
      const step = jit((x: Tensor) => {
        const before = v.mul(1);
        v.assign(v.add(x));
        const between = v.mul(1);
        v.assign(v.mul(10));
        return [before, between, v.mul(1)];
      });
      assert.deepEqual(step(vec(1, 2)).map(list), [
        [1, 1],
        [2, 3],
        [20, 30],
      ]);
      assert.deepEqual(list(v), [20, 30]);
    });

    on("a returned variable is its value at the end of the step, in memory of its own", () => {
      const v = variable(vec(1));
      const step = jit(() => {
        v.assign(v.add(1));
        return v;
      });
      const first = step();
      const second = step();
      assert.deepEqual([list(first), list(second), list(v)], [[2], [3], [3]]);
    });

    on("an update that is returned too, and one value for two variables", () => {
      const [v, w] = [variable(vec(1, 2)), variable(vec(0, 0))];
      const step = jit((x: Tensor) => {
        const next = v.mul(2).add(x);
        v.assign(next);
        w.assign(next);
        return next;
      });
      assert.deepEqual(list(step(vec(1, 1))), [3, 5]);
      assert.deepEqual(
        [list(v), list(w)],
        [
          [3, 5],
          [3, 5],
        ],
      );
      const returned = step(vec(0, 0));
      step(vec(1, 1));
      assert.deepEqual(list(returned), [6, 10], "a later step does not touch it");
    });

    on("values that are held outside keep what they were", () => {
      const initial = vec(1, 2);
      const v = variable(initial);
      const step = jit(() => v.assign(v.mul(2)));
      const before = v.value;
      step();
      const between = v.value;
      step();
      step();
      assert.deepEqual([initial, before, between, v].map(list), [
        [1, 2],
        [1, 2],
        [2, 4],
        [8, 16],
      ]);
    });

    on("a variable as an argument is a value like any other", () => {
      const v = variable(vec(1, 2, 3));
      const step = jit((x: Tensor) => {
        v.assign(x.flip(0).add(v));
        return x;
      });
      const returned = step(v);
      assert.deepEqual(list(v), [4, 4, 4]);
      assert.deepEqual(list(returned), [1, 2, 3]);
    });

    on("variables that are only read, and constants from outside", () => {
      const [v, factor] = [variable(vec(1, 2)), vec(10, 20).mul(1)];
      const read = jit(() => v.mul(factor));
      assert.deepEqual(list(read()), [10, 40]);
      v.assign(vec(5, 5));
      assert.deepEqual(list(read()), [50, 100]);
    });

    on("scalars assigned to a variable fill it; another shape is refused", () => {
      const v = variable(vec(1, 2));
      jit(() => v.assign(7))();
      assert.deepEqual(list(v), [7, 7]);
      assert.throws(() => jit(() => v.assign(vec(1, 2, 3)))(), /assign: the variable is \[2\], the value \[3\]/);
      assert.deepEqual(list(v), [7, 7]);
    });

    on("an error while recording leaves everything as it was", () => {
      const v = variable(vec(1));
      let fail = true;
      const step = jit(() => {
        v.assign(v.add(1));
        if (fail) throw new Error("stop");
      });
      assert.throws(step, /stop/);
      assert.deepEqual(list(v), [1]);
      fail = false;
      step();
      assert.deepEqual(list(v), [2]);
    });

    on("a jitted function inside of another, and inside of a gradient, is part of it", () => {
      const square = jit((x: Tensor) => x.mul(x));
      assert.deepEqual(list(jit((x: Tensor) => square(x).add(1))(vec(3))), [10]);
      assert.deepEqual(list(grad((x: Tensor) => square(x).sum())(vec(3, 4))), [6, 8]);
    });

    on("gradients of second order inside of a step", () => {
      const curvature = jit((x: Tensor) => grad((y: Tensor) => grad((z: Tensor) => z.pow(3).sum())(y).sum())(x));
      assert.deepEqual(list(curvature(vec(1, 2))), [6, 12]);
    });

    on("a training step updates in place and its loss falls", () => {
      const w = variable(vec(0, 0));
      const step = jit((x: Tensor, y: Tensor) => {
        const [loss, g] = valueAndGrad(w.value, (w) =>
          x
            .matmul(w.reshape([2, 1]))
            .sub(y)
            .square()
            .mean(),
        );
        w.assign(w.sub(g.mul(0.1)));
        return loss;
      });
      const x = tensor([
        [1, 0],
        [0, 1],
        [1, 1],
      ]);
      const y = tensor([[2], [-1], [1]]);
      const losses = Array.from({ length: 200 }, () => step(x, y).itemSync());
      assert.ok(losses[199] < 1e-4 && losses[199] < losses[0]);
      assert.deepEqual(
        list(w).map((v) => Math.round(v * 100) / 100),
        [2, -1],
      );
    });

    on("clear errors for what cannot be traced", () => {
      assert.throws(
        () => jit((x: Tensor) => (x.itemSync() > 0 ? x : x.neg()))(vec(1)),
        /a tensor's value was asked for inside of a jitted function/,
      );
      assert.throws(() => jit((async () => vec(1)) as never)(), /must not be async/);
      const give = jit((x: Tensor) => x);
      assert.throws(() => give((() => 0) as never), /not functions/);
      assert.throws(() => give(new Map() as never), /an argument is a Map; arguments are tensors/);
      let leaked = vec(0);
      jit((x: Tensor) => {
        leaked = x.mul(2);
        return x;
      })(vec(1));
      assert.throws(() => leaked.dataSync(), /must be returned from it/);
      assert.throws(() => jit((x: Tensor) => x.add(leaked))(vec(1)), /belongs to another traced call|not fed/);
    });

    on("branches on values are where(), branches on plain values are free", () => {
      const clip = jit((x: Tensor, double: boolean) => where(x.gt(0), double ? x.mul(2) : x, 0));
      assert.deepEqual(list(clip(vec(-1, 2), true)), [0, 4]);
      assert.deepEqual(list(clip(vec(-1, 2), false)), [0, 2]);
    });
  });
