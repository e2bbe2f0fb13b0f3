import { createModel } from "../../models/index.ts";
import {
  AdaptiveAvgPool2d,
  Conv2d,
  Flatten,
  initialize,
  Linear,
  LSTM,
  Module,
  ReLU,
  Sequential,
} from "../../nn/index.ts";
import { valueAndGrad } from "../../ops/grad.ts";
import { jit } from "../../ops/jit.ts";
import { crossEntropy } from "../../ops/loss/index.ts";
import type { Tensor } from "../../ops/tensor.ts";
import { adamW, optimizer, type Rule, sgd } from "../../optim/index.ts";
import { Decoder, VisionTransformer } from "./networks.ts";
import { inPlace, labels, values, type Work } from "./work.ts";

type Network = Module & { forward(x: Tensor): Tensor };

/** A step of training with cross entropy. */
function training(model: Network, rule: Rule, x: Tensor, y: Tensor): () => void {
  const opt = optimizer(initialize(model, 0), rule);
  const step = jit((a: Tensor, b: Tensor) => {
    const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(a), b));
    opt.update(grads);
    return loss;
  });
  return () => void step(x, y);
}

/** The last output of an LSTM, classified. */
class SequenceClassifier extends Module {
  lstm = new LSTM(256, 256);
  head = new Linear(256, 10);

  forward(x: Tensor): Tensor {
    return this.head.forward(this.lstm.forward(x)[0].select(0, -1));
  }
}

const momentum = sgd({ lr: 0.01, momentum: 0.9 });
const image = (batch: number): readonly number[] => [batch, 3, 224, 224];

const train = (name: string, request: Work["request"], prepare: () => Promise<() => void>): Work => ({
  ...{ group: "train", measure: "seconds", name, request, flops: null, prepare },
});

const resnet = (model: string, title: string, batch: number): Work =>
  train(`${title} train step, b${batch}`, { case: "resnet", model, batch }, async () =>
    training(await createModel(model), momentum, values(image(batch)), labels([batch], 1000)),
  );

const resnet50 = resnet("resnet50", "ResNet-50", 8);

const vocabulary = 50257;
const context = 512;

const inference = (batch: number): Work => ({
  ...{ group: "inference", measure: "seconds", name: `ResNet-50 inference, b${batch}`, flops: null },
  request: { case: "inference", model: "resnet50", batch },
  async prepare() {
    const model = initialize(await createModel("resnet50"), 0).eval();
    return inPlace((x) => model.forward(x), values(image(batch)));
  },
});

export const models: readonly Work[] = [
  train("MLP 784-64-10 train step, b32", { case: "mlp" }, async () =>
    training(
      new Sequential(new Linear(784, 64), new ReLU(), new Linear(64, 10)),
      sgd({ lr: 0.01 }),
      values([32, 784]),
      labels([32], 10),
    ),
  ),
  train("small conv net train step, b32 28x28", { case: "convnet" }, async () =>
    training(
      new Sequential(
        ...[new Conv2d(1, 16, 3, { padding: 1 }), new ReLU()],
        ...[new Conv2d(16, 32, 3, { padding: 1, stride: 2 }), new ReLU()],
        ...[new AdaptiveAvgPool2d(1), new Flatten(), new Linear(32, 10)],
      ),
      sgd({ lr: 0.01 }),
      values([32, 1, 28, 28]),
      labels([32], 10),
    ),
  ),
  train("MNIST ResNet train step, b128", { case: "mnist-resnet" }, async () =>
    training(
      await createModel("mnist_resnet"),
      sgd({ lr: 0.01, momentum: 0.9, nesterov: true }),
      values([128, 1, 28, 28]),
      labels([128], 10),
    ),
  ),
  train("LSTM 256, T=100, train step, b32", { case: "lstm" }, async () =>
    training(new SequenceClassifier(), sgd({ lr: 0.01 }), values([100, 32, 256]), labels([32], 10)),
  ),
  resnet("resnet18", "ResNet-18", 16),
  resnet50,
  train("ViT-B/16 train step, b4", { case: "vit", batch: 4 }, async () =>
    training(new VisionTransformer(), adamW({ lr: 1e-4 }), values(image(4)), labels([4], 1000)),
  ),
  train("GPT-2 small train step, b1, T=512", { case: "gpt", batch: 1, vocabulary, context }, async () =>
    training(
      new Decoder(vocabulary, context),
      adamW({ lr: 1e-4 }),
      labels([1, context], vocabulary),
      labels([context], vocabulary),
    ),
  ),
  inference(1),
  inference(8),
  { ...resnet50, group: "memory", measure: "bytes", name: "ResNet-50 train step, b8: peak memory" },
];
