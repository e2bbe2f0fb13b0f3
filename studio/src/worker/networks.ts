import { createModel } from "manabi/models";
import { Conv2d, Flatten, type Layer, Linear, MaxPool2d, ReLU, Sequential } from "manabi/nn";
import type { NetworkName } from "./messages.ts";

const makers: Record<NetworkName, () => Layer | Promise<Layer>> = {
  mlp: () => new Sequential(new Flatten(), new Linear(784, 128), new ReLU(), new Linear(128, 10)),
  convnet: () =>
    new Sequential(
      new Conv2d(1, 8, 3, { padding: 1 }),
      new ReLU(),
      new MaxPool2d(2),
      new Conv2d(8, 16, 3, { padding: 1 }),
      new ReLU(),
      new MaxPool2d(2),
      new Flatten(),
      new Linear(784, 10),
    ),
  resnet: () => createModel("mnist_resnet"),
};

/** A network without values: pictures f32 [n, 1, 28, 28] -> logits [n, 10]. */
export const makeNetwork = async (name: NetworkName): Promise<Layer> => makers[name]();
