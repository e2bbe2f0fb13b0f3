/** jax-js on WebAssembly. Its arrays are used up by what takes them, unless `ref` is given. */
import { type Library, type Load, type Request, values, versionOf } from "./serve.ts";

interface JaxArray {
  readonly ref: JaxArray;
  dispose(): void;
  blockUntilReady(): Promise<JaxArray>;
  add(other: JaxArray): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
}

type Loss = (...inputs: JaxArray[]) => JaxArray;

interface Jax {
  init(...devices: string[]): Promise<unknown>;
  defaultDevice(device: string): unknown;
  jit<F>(fn: F): F;
  vjp(fn: Loss, primals: JaxArray[]): [JaxArray, (ct: JaxArray) => JaxArray[]];
  valueAndGrad(fn: Loss, options: { argnums: number[] }): (...inputs: JaxArray[]) => [JaxArray, JaxArray[]];
  readonly numpy: {
    array(values: Float32Array | Int32Array): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    mean(x: JaxArray, axes?: readonly number[]): JaxArray;
    sum(x: JaxArray, axis: number): JaxArray;
  };
  readonly lax: {
    convGeneralDilated(
      x: JaxArray,
      w: JaxArray,
      strides: number[],
      padding: [number, number][],
      options: { featureGroupCount: number },
    ): JaxArray;
  };
  readonly nn: {
    relu(x: JaxArray): JaxArray;
    logSoftmax(x: JaxArray): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
  };
}

export async function connect(load: Load): Promise<Library> {
  const jax = await load<Jax>("@jax-js/jax");
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  return { name: `${versionOf("@jax-js/jax")}, WebAssembly`, prepare: async (request) => prepare(jax, request) };
}

async function prepare(jax: Jax, request: Request): Promise<(() => Promise<void>) | string> {
  switch (request.case) {
    case "gemm":
      return gemm(jax, request as Record<string, number>);
    case "conv":
      return convolution(jax, request as Record<string, number>, String(request.mode));
    case "mlp":
      return mlp(jax);
    case "convnet":
      return convnet(jax);
    default:
      return "not written for this library";
  }
}

const random = ({ numpy }: Jax, shape: readonly number[]) => numpy.array(values(shape)).reshape(shape);

const done = async (...results: JaxArray[]): Promise<void> => {
  for (const result of results) {
    await result.ref.blockUntilReady();
    result.dispose();
  }
};

function gemm(jax: Jax, { batch, m, k, n }: Record<string, number>): () => Promise<void> {
  const head = batch > 1 ? [batch] : [];
  const [a, b] = [random(jax, [...head, m, k]), random(jax, [...head, k, n])];
  return () => done(jax.numpy.matmul(a.ref, b.ref));
}

function convolution(jax: Jax, r: Record<string, number>, mode: string): () => Promise<void> {
  const { n, c, o, size, kernel, stride, padding, groups } = r;
  const [x, w] = [random(jax, [n, c, size, size]), random(jax, [o, c / groups, kernel, kernel])];
  const pads: [number, number] = [padding, padding];
  const conv = (x: JaxArray, w: JaxArray) =>
    jax.lax.convGeneralDilated(x, w, [stride, stride], [pads, pads], { featureGroupCount: groups });
  if (mode === "forward") {
    const run = jax.jit(conv);
    return () => done(run(x.ref, w.ref));
  }
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const y = random(jax, [n, o, out, out]);
  const [value, pull] =
    mode === "inputGrad" ? jax.vjp((x) => conv(x, w.ref), [x]) : jax.vjp((w) => conv(x.ref, w), [w]);
  value.dispose();
  return () => done(...pull(y.ref));
}

function mlp(jax: Jax): () => Promise<void> {
  const { numpy: np, nn } = jax;
  const x = random(jax, [32, 784]);
  const params = [random(jax, [784, 64]), np.zeros([64]), random(jax, [64, 10]), np.zeros([10])];
  return training(jax, params, x, ([w1, b1, w2, b2], x) => {
    const hidden = nn.relu(np.matmul(x, w1).add(b1));
    return np.matmul(hidden, w2).add(b2);
  });
}

function convnet(jax: Jax): () => Promise<void> {
  const { numpy: np, nn, lax } = jax;
  const conv = (x: JaxArray, w: JaxArray, b: JaxArray, stride: number) => {
    const pads: [number, number] = [1, 1];
    const y = lax.convGeneralDilated(x, w, [stride, stride], [pads, pads], { featureGroupCount: 1 });
    return nn.relu(y.add(b.reshape([1, -1, 1, 1])));
  };
  const shapes = [[16, 1, 3, 3], [16], [32, 16, 3, 3], [32], [32, 10], [10]];
  const params = shapes.map((shape) => (shape.length > 1 ? random(jax, shape) : np.zeros(shape)));
  return training(jax, params, random(jax, [32, 1, 28, 28]), ([w1, b1, w2, b2, w3, b3], x) => {
    const features = conv(conv(x, w1, b1, 1), w2, b2, 2);
    return np.matmul(np.mean(features, [2, 3]), w3).add(b3);
  });
}

/** Steps of gradient descent on the cross entropy of 32 examples of ten classes. */
function training(
  jax: Jax,
  first: JaxArray[],
  x: JaxArray,
  logits: (params: JaxArray[], x: JaxArray) => JaxArray,
): () => Promise<void> {
  const { numpy: np, nn } = jax;
  const count = first.length;
  const y = nn.oneHot(np.array(Int32Array.from({ length: 32 }, (_, i) => i % 10)), 10);
  const loss: Loss = (...inputs) => {
    const scores = nn.logSoftmax(logits(inputs.slice(0, count), inputs[count]));
    return np.mean(np.sum(scores.mul(inputs[count + 1]), 1)).mul(-1);
  };
  const gradient = jax.valueAndGrad(loss, { argnums: first.map((_, i) => i) });
  const step = jax.jit((...inputs: JaxArray[]): JaxArray[] => {
    const old = inputs.slice(0, count);
    const [value, grads] = gradient(...old.map((p) => p.ref), ...inputs.slice(count));
    return [value, ...old.map((p, i) => p.sub(grads[i].mul(0.01)))];
  });
  let params = first;
  return async () => {
    const [value, ...next] = step(...params, x.ref, y.ref);
    params = next;
    await done(value);
  };
}
