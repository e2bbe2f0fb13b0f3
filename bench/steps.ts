// node dist/bench/steps.js: time of the first ResNet-18 step (set XDG_CACHE_HOME to an empty folder for a cold one), and
// growth of resident memory over many steps.
import { crossEntropy, jit, type Tensor, valueAndGrad } from "manabi";
import { createModel } from "manabi/models";
import { initialize, Linear, type Module, ReLU, Sequential } from "manabi/nn";
import { optimizer, sgd } from "manabi/optim";
import { labels, values } from "../src/bench/works/work.ts";

type Classifier = Module & { forward(x: Tensor): Tensor };

function stepOf(model: Classifier): (x: Tensor, y: Tensor) => Tensor {
  const opt = optimizer(initialize(model, 0), sgd({ lr: 0.01 }));
  return jit((x: Tensor, y: Tensor) => {
    const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
    opt.update(grads);
    return loss;
  });
}

function growth(name: string, model: Classifier, x: Tensor, steps: number): void {
  const step = stepOf(model);
  const y = labels([x.shape[0]], 10);
  for (let i = 0; i < steps / 5; i++) step(x, y);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < steps; i++) step(x, y);
  const after = process.memoryUsage().rss;
  console.log(`${name}: ${steps} steps, resident memory ${(100 * (after / before - 1)).toFixed(2)} %`);
}

const step = stepOf(await createModel("resnet18"));
const [x, y] = [values([16, 3, 224, 224]), labels([16], 1000)];
for (const which of ["first", "second"]) {
  const start = performance.now();
  step(x, y);
  console.log(`ResNet-18, batch 16: ${which} step ${(performance.now() - start).toFixed(0)} ms`);
}
growth("MLP 784-64-10", new Sequential(new Linear(784, 64), new ReLU(), new Linear(64, 10)), values([32, 784]), 10_000);
growth("mnist_resnet, batch 32", await createModel("mnist_resnet"), values([32, 1, 28, 28]), 500);
