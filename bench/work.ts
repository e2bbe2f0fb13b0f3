import { crossEntropy, jit, type Tensor, tensor, valueAndGrad, variable } from "manabi";
import { createModel } from "manabi/models";
import { initialize, Linear, type Module, ReLU, Sequential } from "manabi/nn";
import { optimizer, sgd } from "manabi/optim";
import { conv2d, convInputGrad, convWeightGrad } from "./conv.ts";

/** One piece of work that is timed on both sides: `request` is what the peer is told. */
export interface Work {
  readonly group: "gemm" | "conv" | "train";
  readonly name: string;
  readonly request: Readonly<Record<string, string | number>>;
  /** Multiplications and additions of one run, for GFLOP/s; null where a rate says nothing. */
  readonly flops: number | null;
  /** Makes a function that runs the work once, to the end. */
  prepare(): Promise<() => void>;
}

/** Reproducible values in [-0.5, 0.5). */
export function values(shape: readonly number[], seed = 1): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = seed >>> 0;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 32 - 0.5;
  }
  return tensor(data, { shape });
}

/**
 * `fn` as a step that writes its result in place, as a layer inside of a program does; a fresh result per call would
 * time the operating system's zeroing of pages.
 */
function inPlace(fn: (a: Tensor, b: Tensor) => Tensor, a: Tensor, b: Tensor): () => void {
  const out = variable(fn(a, b));
  const step = jit((x: Tensor, y: Tensor) => out.assign(fn(x, y)));
  return () => step(a, b);
}

const gemm = (n: number): Work => ({
  group: "gemm",
  name: `GEMM ${n}`,
  request: { case: "gemm", n },
  flops: 2 * n ** 3,
  async prepare() {
    return inPlace((x, y) => x.matmul(y), values([n, n]), values([n, n], 2));
  },
});

/** The distinct convolutions of ResNet-50 at 224: channels in, out, input size, kernel, stride. */
const resnet50: readonly (readonly [c: number, o: number, size: number, kernel: number, stride: number])[] = [
  [3, 64, 224, 7, 2],
  [64, 64, 56, 1, 1],
  [64, 64, 56, 3, 1],
  [64, 256, 56, 1, 1],
  [256, 64, 56, 1, 1],
  [256, 128, 56, 1, 1],
  [128, 128, 56, 3, 2],
  [256, 512, 56, 1, 2],
  [128, 512, 28, 1, 1],
  [512, 128, 28, 1, 1],
  [128, 128, 28, 3, 1],
  [512, 256, 28, 1, 1],
  [256, 256, 28, 3, 2],
  [512, 1024, 28, 1, 2],
  [256, 1024, 14, 1, 1],
  [1024, 256, 14, 1, 1],
  [256, 256, 14, 3, 1],
  [1024, 512, 14, 1, 1],
  [512, 512, 14, 3, 2],
  [1024, 2048, 14, 1, 2],
  [512, 2048, 7, 1, 1],
  [2048, 512, 7, 1, 1],
  [512, 512, 7, 3, 1],
];

const convolution = (
  [c, o, size, kernel, stride]: (typeof resnet50)[number],
  mode: "forward" | "inputGrad" | "weightGrad",
): Work => {
  const n = 8;
  const padding = kernel >> 1;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  return {
    group: "conv",
    name: `conv ${c}-${o} ${size} ${kernel}x${kernel}/${stride} ${mode}`,
    request: { case: "conv", mode, n, c, o, size, kernel, stride, padding, groups: 1 },
    flops: 2 * n * o * out * out * c * kernel * kernel,
    async prepare() {
      const [x, w, y] = [values([n, c, size, size]), values([o, c, kernel, kernel], 2), values([n, o, out, out], 3)];
      const options = { stride, padding };
      if (mode === "forward") return inPlace((a, b) => conv2d(a, b, options), x, w);
      if (mode === "inputGrad") return inPlace((a, b) => convInputGrad(a, b, [size, size], options), y, w);
      return inPlace((a, b) => convWeightGrad(a, b, [kernel, kernel], options), x, y);
    },
  };
};

function training(model: Module & { forward(x: Tensor): Tensor }, x: Tensor, y: Tensor): () => void {
  const opt = optimizer(model, sgd({ lr: 0.01 }));
  const step = jit((a: Tensor, b: Tensor) => {
    const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(a), b));
    opt.update(grads);
    return loss;
  });
  return () => void step(x, y);
}

/** Class numbers in a fixed order. */
export const labels = (n: number, classes: number) =>
  tensor(Int32Array.from({ length: n }, (_, i) => (i * 7) % classes));

const mlp: Work = {
  group: "train",
  name: "MLP 784-64-10 train step, batch 32",
  request: { case: "mlp" },
  flops: null,
  async prepare() {
    const model = initialize(new Sequential(new Linear(784, 64), new ReLU(), new Linear(64, 10)), 0);
    return training(model, values([32, 784]), labels(32, 10));
  },
};

const resnet18: Work = {
  group: "train",
  name: "ResNet-18 train step, batch 16, 224x224",
  request: { case: "resnet18", batch: 16, size: 224 },
  flops: null,
  async prepare() {
    const model = initialize(await createModel("resnet18"), 0);
    return training(model, values([16, 3, 224, 224]), labels(16, 1000));
  },
};

export const works: readonly Work[] = [
  ...[512, 1024, 2048].map(gemm),
  ...resnet50.flatMap((shape) =>
    (["forward", "inputGrad", "weightGrad"] as const).map((mode) => convolution(shape, mode)),
  ),
  mlp,
  resnet18,
];
