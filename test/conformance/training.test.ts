/** The recipe's MNIST ResNet, the same seed and batches: the losses of its first twenty steps on every backend. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { crossEntropy, fromHost, jit, manualSeed, type Tensor, valueAndGrad } from "../../src/index.ts";
import { createModel } from "../../src/models/index.ts";
import { initialize } from "../../src/nn/index.ts";
import { noDecay, oneCycle, optimizer, sgd } from "../../src/optim/index.ts";
import { digitPictures } from "../support/digits.ts";
import { preparedWebgpu } from "../support/webgpu.ts";

const [steps, batch] = [20, 4];
const { images, labels } = digitPictures(steps * batch, 4);

function batchOf(step: number): [x: Tensor, y: Tensor] {
  const mine = images.slice(step * batch, (step + 1) * batch);
  const pixels = Float32Array.from(
    mine.flatMap((image) => [...image]),
    (value) => (value / 255 - 0.1307) / 0.3081,
  );
  const classes = Int32Array.from(labels.subarray(step * batch, (step + 1) * batch));
  return [
    fromHost({ dtype: "f32", shape: [batch, 1, 28, 28], data: pixels }),
    fromHost({ dtype: "i32", shape: [batch], data: classes }),
  ];
}

/** The losses of the recipe's step at its learning rates. */
async function losses(): Promise<number[]> {
  manualSeed(1);
  const model = initialize(await createModel("mnist_resnet"), 1);
  const rule = sgd({ lr: oneCycle(0.05, steps), momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
  const opt = optimizer(model, rule, { groups: [noDecay] });
  const step = jit((x: Tensor, y: Tensor) => {
    const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y, { labelSmoothing: 0.1 }));
    opt.update(grads);
    return loss;
  });
  const found: number[] = [];
  for (let i = 0; i < steps; i++) found.push(await step(...batchOf(i)).item());
  return found;
}

setBackend("reference");
const want = await losses();
await preparedWebgpu();

for (const { name, works, detail } of backendStatus())
  if (name !== "reference")
    test(`twenty steps of the MNIST ResNet on ${name}`, { skip: !works && detail }, async () => {
      setBackend(name);
      const got = await losses();
      const difference = Math.max(...got.map((loss, i) => Math.abs(loss - want[i])));
      assert.ok(difference < 1e-4, `the losses differ by up to ${difference}: ${got}, not ${want}`);
      assert.ok(want[steps - 1] < want[0], `the loss fell from ${want[0]} to ${want[steps - 1]}`);
      console.log(`${name}: losses within ${difference.toExponential(1)} of the reference`);
    });
