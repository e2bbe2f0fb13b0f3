/** Lazy evaluation: what is computed once, what is kept while gradients may be taken, and what is let go. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import { reachable } from "../../src/graph/node.ts";
import { grad, stopGradient, valueAndGrad, vjp } from "../../src/ops/grad.ts";
import { scan } from "../../src/ops/scan.ts";
import { concatenate, fromHost, type Tensor, tensor } from "../../src/ops/tensor.ts";
import { evaluateNow } from "../support/evaluate.ts";

before(() => setBackend("reference"));
after(() => setBackend("auto"));

const list = (t: Tensor): number[] => Array.from(t.dataSync());
const vec = (...values: number[]): Tensor => tensor(values, { dtype: "f64" });

describe("evaluation", () => {
  test("a value is computed once and lets go of what it came from", () => {
    const x = vec(1, 2);
    const y = x.mul(2).add(1);
    assert.equal(y.node.prim.name, "add");
    assert.deepEqual(list(y), [3, 5]);
    assert.equal(y.node.prim.name, "data");
    assert.deepEqual(y.node.inputs, []);
    const [first] = evaluateNow([y.node]);
    assert.equal(evaluateNow([y.node])[0], first);
    assert.deepEqual(list(y.add(x)), [4, 7]);
  });

  test("nodes that are asked for together are one program, whatever depends on what", () => {
    const x = vec(1, 2, 3);
    const [y, z] = [x.square(), x.square().sum()];
    const [a, b, again] = evaluateNow([y.node, z.node, y.node]);
    assert.deepEqual([Array.from(a), Array.from(b)], [[1, 4, 9], [14]]);
    assert.equal(again, a);
  });

  test("data() is a copy, host() has shape and dtype", async () => {
    const values = Float32Array.of(1, 2, 3, 4);
    const x = fromHost({ dtype: "f32", shape: [2, 2], data: values });
    const copy = await x.data();
    copy[0] = 100;
    assert.deepEqual(list(x), [1, 2, 3, 4]);
    const { shape, dtype } = await x.transpose().host();
    assert.deepEqual([shape, dtype], [[2, 2], "f32"]);
    assert.equal(await x.sum().item(), 10);
    await assert.rejects(x.item(), /item: takes a tensor with one element, this one is \[2,2\]/);
  });

  test("values that are read while a gradient is taken do not cut it off", () => {
    const seen: number[] = [];
    const [value, gradient] = valueAndGrad(vec(3), (x) => {
      const y = x.mul(x);
      seen.push(y.itemSync());
      return y.mul(2).sum();
    });
    assert.deepEqual([seen, value.itemSync(), list(gradient)], [[9], 18, [12]]);
  });

  test("an evaluated tensor is a constant to gradients that are taken later", () => {
    const x = vec(2);
    const y = x.mul(x);
    list(y);
    assert.deepEqual(list(grad((z: Tensor) => z.mul(y).sum())(x)), [4]);
  });
});

describe("gradients", () => {
  test("stopGradient: the value flows, the gradient does not", () => {
    const [value, gradient] = valueAndGrad(vec(1, 2), (x) => stopGradient(x).mul(x).sum());
    assert.deepEqual([value.itemSync(), list(gradient)], [5, [1, 2]]);
  });

  test("what is not used has a zero gradient in the form of the argument", () => {
    const { a, rest } = grad(({ a }: { a: Tensor; rest: readonly Tensor[] }) => a.sum())({
      a: vec(1, 2),
      rest: [vec(1, 1, 1)],
    });
    assert.deepEqual(
      [list(a), list(rest[0])],
      [
        [1, 1],
        [0, 0, 0],
      ],
    );
  });

  test("an argument that occurs twice has two gradients", () => {
    const x = vec(3);
    const [a, b] = grad(([p, q]: readonly [Tensor, Tensor]) => p.mul(p).mul(q).sum())([x, x]);
    assert.deepEqual([list(a), list(b)], [[18], [9]]);
  });

  test("vjp pulls back several cotangents", () => {
    const [out, pull] = vjp((x, y) => x.mul(y), vec(1, 2), vec(3, 4));
    assert.deepEqual(list(out), [3, 8]);
    assert.deepEqual(pull(vec(1, 0)).map(list), [
      [3, 0],
      [1, 0],
    ]);
    assert.deepEqual(pull(vec(0, 1)).map(list), [
      [0, 4],
      [0, 2],
    ]);
    assert.throws(() => pull(vec(1)), /the cotangent is f64\[1\], the output f64\[2\]/);
  });

  test("errors: a loss that is no scalar, no float; an argument that is no float", () => {
    assert.throws(() => grad((x: Tensor) => x)(vec(1, 2)), /must return a scalar loss, it returned \[2\]/);
    assert.throws(() => grad((x: Tensor) => x.sum().cast("i32"))(vec(1)), /the loss must be a float, it is i32/);
    const integers = tensor([1, 2], { dtype: "i32" });
    assert.throws(() => grad((x: Tensor) => x.cast("f32").sum())(integers), /dtype i32; use floats/);
  });

  test("third order", () => {
    const third = grad((x: Tensor) => grad((y: Tensor) => grad((z: Tensor) => z.pow(4).sum())(y).sum())(x).sum());
    assert.deepEqual(list(third(vec(1, 2))), [24, 48]);
  });
});

describe("scan", () => {
  const xs = tensor(
    Float64Array.from({ length: 15 }, (_, i) => Math.sin(i)),
    { shape: [5, 3] },
  );
  const w = tensor(
    Float64Array.from({ length: 9 }, (_, i) => Math.cos(i) / 2),
    { shape: [3, 3] },
  );
  const step = (h: Tensor, x: Tensor, w: Tensor) => h.reshape([1, 3]).matmul(w).reshape([3]).add(x).tanh();

  const looped = ([h, xs, w]: readonly [Tensor, Tensor, Tensor]) => {
    const [last, all] = scan((h: Tensor, x: Tensor) => [step(h, x, w), h.mul(x)], h, xs);
    return last.square().sum().add(all.sum());
  };
  const unrolled = ([h, xs, w]: readonly [Tensor, Tensor, Tensor]) => {
    const all: Tensor[] = [];
    for (let t = 0; t < 5; t++) {
      const x = xs.select(0, t);
      all.push(h.mul(x));
      h = step(h, x, w);
    }
    return h.square().sum().add(concatenate(all).sum());
  };
  const close = (a: Tensor, b: Tensor) => {
    const [p, q] = [list(a), list(b)];
    assert.equal(p.length, q.length);
    for (const [i, v] of p.entries())
      assert.ok(Math.abs(v - q[i]) <= 1e-12 * (1 + Math.abs(q[i])), `${v}, not ${q[i]}`);
  };

  test("value and gradients are those of the unrolled loop", () => {
    const inputs = [vec(0.1, 0.2, 0.3), xs, w] as const;
    const [a, da] = valueAndGrad(inputs, looped);
    const [b, db] = valueAndGrad(inputs, unrolled);
    close(a, b);
    for (const i of [0, 1, 2] as const) close(da[i], db[i]);
  });

  test("and so are gradients of gradients", () => {
    const inputs = [vec(0.1, 0.2, 0.3), xs, w] as const;
    const squared = (fn: typeof looped) => (x: readonly [Tensor, Tensor, Tensor]) =>
      grad(fn)(x)
        .map((g) => g.square().sum())
        .reduce((p, q) => p.add(q));
    const [a, b] = [grad(squared(looped))(inputs), grad(squared(unrolled))(inputs)];
    for (const i of [0, 1, 2] as const) close(a[i], b[i]);
  });

  test("one step is built, however long the loop", () => {
    let steps = 0;
    const long = tensor(new Float64Array(1000));
    const [last] = scan(
      (h: Tensor, x: Tensor) => {
        steps++;
        return [h.add(x).add(1), []];
      },
      vec(0).sum(),
      long,
    );
    assert.equal(steps, 1);
    assert.ok(reachable([last.node]).length < 10);
    assert.equal(last.itemSync(), 1000);
  });

  test("errors name what does not fit", () => {
    assert.throws(
      () => scan((h: Tensor, _: Tensor) => [h, []], vec(1), [vec(1, 2), vec(1)] as never),
      /share their leading axis/,
    );
    assert.throws(
      () => scan((h: Tensor, x: Tensor) => [concatenate([h, x.reshape([1])]), []], vec(1), vec(1, 2)),
      /enters a step as f64\[1\] and leaves it as f64\[2\]/,
    );
  });
});
