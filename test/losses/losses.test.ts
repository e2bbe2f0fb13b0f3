/** Extremes, derivatives and errors of losses; their values are golden. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  cosineSimilarity,
  crossEntropy,
  focalLoss,
  grad,
  huberLoss,
  klDiv,
  mseLoss,
  multiMarginLoss,
  nllLoss,
  smoothL1Loss,
  Tensor,
  tensor,
} from "../../src/index.ts";
import { checkGrads, spread } from "../support/check-grads.ts";

setBackend("reference");

const none = { reduction: "none" } as const;
const list = (x: Tensor) => [...x.dataSync()];

/** Value and gradient of `loss` at `x`, summed. */
const at = (loss: (x: Tensor) => Tensor, x: Tensor) => ({
  value: list(loss(x)),
  gradient: list(grad((y: Tensor) => loss(y).sum())(x)),
});

test("cross-entropy is finite and exact for huge logits, and takes masked classes", () => {
  const huge = at(
    (x) => crossEntropy(x, tensor(Int32Array.of(1, 0)), none),
    tensor([
      [3e38, -3e38],
      [1e30, 1e30],
    ]),
  );
  assert.equal(huge.value[0], Number.POSITIVE_INFINITY); // the difference overflows f32
  assert.ok(Math.abs(huge.value[1] - Math.log(2)) < 1e-6);
  assert.deepEqual(huge.gradient, [1, -1, -0.5, 0.5]);
  const small = at((x) => crossEntropy(x, tensor(Int32Array.of(0)), none), tensor([[100, 0]]));
  assert.deepEqual(small.value, [0]);
  const masked = tensor([[0, Number.NEGATIVE_INFINITY, 0]]);
  const { value, gradient } = at((x) => crossEntropy(x, tensor(Int32Array.of(2)), none), masked);
  assert.ok(Math.abs(value[0] - Math.log(2)) < 1e-6);
  assert.deepEqual(gradient, [0.5, 0, -0.5]);
});

test("ignored positions add nothing; a stray class gives NaN", () => {
  const logits = tensor([
    [1, 2],
    [3, 1],
    [0, 5],
  ]);
  const { value, gradient } = at((x) => crossEntropy(x, tensor(Int32Array.of(0, -100, 1)), none), logits);
  assert.equal(value[1], 0);
  assert.deepEqual(gradient.slice(2, 4), [0, 0]);
  for (const loss of [crossEntropy, nllLoss, multiMarginLoss]) {
    const losses = list(loss(logits, tensor(Int32Array.of(0, 2, -1)), none));
    assert.deepEqual(losses.map(Number.isNaN), [false, true, true], loss.name);
  }
  assert.ok(Number.isNaN(crossEntropy(logits, tensor(Int32Array.of(-100, -100, -100))).itemSync()));
});

test("class indices of any integer dtype, one sample or many, with and without spatial axes", () => {
  const one = crossEntropy(tensor([1, 2, 3]), tensor(2, { dtype: "i32" }));
  const many = crossEntropy(tensor([[1, 2, 3]]), tensor(Uint8Array.of(2)));
  const spatial = crossEntropy(tensor([[[[1]], [[2]], [[3]]]]), tensor([[[2]]], { dtype: "u32" }));
  assert.deepEqual(list(one), list(many));
  assert.deepEqual(list(one), list(spatial));
  assert.deepEqual(crossEntropy(tensor([1, 2, 3]), tensor(2, { dtype: "i32" }), none).shape, []);
});

test("binary losses are finite at both ends", () => {
  const ends = tensor([-1e30, -200, 0, 200, 1e30]);
  const [no, yes] = [tensor([0, 0, 0, 0, 0]), tensor([1, 1, 1, 1, 1])];
  for (const target of [no, yes])
    for (const loss of [binaryCrossEntropyWithLogits, focalLoss]) {
      const { value, gradient } = at((x) => loss(x, target, none), ends);
      assert.ok([...value, ...gradient].every(Number.isFinite), `${loss.name}: ${value} ${gradient}`);
    }
  assert.deepEqual(at((x) => binaryCrossEntropyWithLogits(x, yes, none), ends).gradient, [-1, -1, -0.5, 0, 0]);
  const certain = at((x) => binaryCrossEntropy(x, tensor([0, 1, 0, 1]), none), tensor([0, 0, 1, 1]));
  assert.deepEqual(certain.value.map(Math.abs), [0, 100, 100, 0]);
  assert.ok(certain.gradient.every(Number.isFinite));
});

test("divergence, similarity and roots are finite at zero", () => {
  const { value, gradient } = at((t) => klDiv(tensor([-1, -2]), t, none), tensor([0, 1]));
  assert.deepEqual(value, [0, 2]);
  assert.ok(gradient.every(Number.isFinite));
  const zero = at((a) => cosineSimilarity(a, tensor([[1, 2]])), tensor([[0, 0]]));
  assert.deepEqual(zero.value, [0]);
  assert.ok(zero.gradient.every(Number.isFinite));
});

test("derivatives of first and second order", () => {
  const classes = new Tensor(tensor(Int32Array.of(1, 0, 2)).node);
  const weight = tensor(Float64Array.of(0.5, 1, 2));
  const of = (loss: (x: Tensor) => Tensor) => checkGrads((x) => loss(new Tensor(x)).node, [spread([3, 3], -2, 2)]);
  of((x) => crossEntropy(x, classes));
  of((x) => crossEntropy(x, classes, { labelSmoothing: 0.1, weight, ignoreIndex: 0 }));
  of((x) => crossEntropy(x, x.mul(0).add(1 / 3), { weight }));
  of((x) => binaryCrossEntropyWithLogits(x, x.mul(0).add(0.3)));
  of((x) => focalLoss(x, x.mul(0).add(1)));
});

test("wrong shapes, dtypes and options name the rule", () => {
  const logits = tensor([
    [1, 2],
    [3, 4],
  ]);
  const classes = tensor(Int32Array.of(0, 1));
  assert.throws(
    () => crossEntropy(logits, tensor(Int32Array.of(0, 1, 0))),
    /class indices \[n, ..\], here \[2\]; the target is \[3\]/,
  );
  assert.throws(() => crossEntropy(logits, tensor([true, false])), /integers, the target is bool/);
  assert.throws(() => crossEntropy(logits, tensor([0.5, 0.5])), /input is \[2,2\], the target \[2\]/);
  assert.throws(() => nllLoss(logits, tensor([0, 1])), /class indices are integers, the target is f32; cast it/);
  assert.throws(() => crossEntropy(logits, classes, { weight: tensor([1, 2, 3]) }), /2 classes, weight is \[3\]/);
  assert.throws(
    () => crossEntropy(logits, classes, { labelSmoothing: 2 }),
    /labelSmoothing is 2; it must be within 0..1/,
  );
  assert.throws(() => crossEntropy(tensor(1), classes), /got a scalar/);
  assert.throws(() => multiMarginLoss(tensor([[[1]]]), tensor([[0]], { dtype: "i32" })), /\[c\] or \[n, c\]/);
  assert.throws(
    () => mseLoss(logits, tensor([1, 2])),
    /mseLoss: the input is \[2,2\], the target \[2\]; they must be equal/,
  );
  assert.throws(() => huberLoss(logits, logits, { delta: 0 }), /delta is 0; it must be above 0/);
  assert.throws(() => smoothL1Loss(logits, logits, { beta: -1 }), /beta is -1/);
  const reduction = "avg" as "mean";
  assert.throws(() => mseLoss(logits, logits, { reduction }), /unknown reduction of mseLoss "avg"/);
});
