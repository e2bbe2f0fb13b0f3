/** TensorFlow.js on its WebAssembly backend; in Node that has one thread. */
import { type Library, type Load, type Request, values, versionOf } from "./serve.ts";

interface TfTensor {
  dataSync(): unknown;
  dispose(): void;
  matMul(other: TfTensor): TfTensor;
  add(other: TfTensor): TfTensor;
  relu(): TfTensor;
}

interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor(values: Float32Array, shape: readonly number[]): TfTensor;
  tensor1d(values: readonly number[], dtype: "int32"): TfTensor;
  oneHot(labels: TfTensor, depth: number): TfTensor;
  variable(x: TfTensor): TfTensor;
  zeros(shape: readonly number[]): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, padding: number): TfTensor;
  depthwiseConv2d(x: TfTensor, w: TfTensor, stride: number, padding: number): TfTensor;
  conv2dTranspose(y: TfTensor, w: TfTensor, out: readonly number[], stride: number, padding: number): TfTensor;
  readonly losses: { softmaxCrossEntropy(labels: TfTensor, logits: TfTensor): TfTensor };
  readonly train: { sgd(lr: number): { minimize(loss: () => TfTensor, keep: boolean): TfTensor } };
}

export async function connect(load: Load): Promise<Library> {
  const tf = await load<Tf>("@tensorflow/tfjs");
  await load("@tensorflow/tfjs-backend-wasm");
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has refused its WebAssembly backend");
  await tf.ready();
  return {
    name: `${versionOf("@tensorflow/tfjs")}, WebAssembly, 1 thread`,
    prepare: async (request) => prepare(tf, request),
  };
}

function prepare(tf: Tf, request: Request): (() => void) | string {
  switch (request.case) {
    case "gemm":
      return gemm(tf, request as Record<string, number>);
    case "conv":
      return convolution(tf, request as Record<string, number>, String(request.mode));
    case "mlp":
      return mlp(tf);
    case "convnet":
      return "its WebAssembly backend has no gradient of a convolution by its weights";
    default:
      return "not written for this library";
  }
}

const random = (tf: Tf, shape: readonly number[]) => tf.tensor(values(shape), shape);

/** Computes, waits for the values, and lets go of them. */
const done = (result: TfTensor): void => {
  result.dataSync();
  result.dispose();
};

function gemm(tf: Tf, { batch, m, k, n }: Record<string, number>): () => void {
  const [a, b] = [random(tf, [batch, m, k]), random(tf, [batch, k, n])];
  return () => done(a.matMul(b));
}

function convolution(tf: Tf, r: Record<string, number>, mode: string): (() => void) | string {
  const { n, c, o, size, kernel, stride, padding, groups } = r;
  const x = random(tf, [n, size, size, c]);
  if (mode === "forward" && groups > 1) {
    const w = random(tf, [kernel, kernel, c, 1]);
    return () => done(tf.depthwiseConv2d(x, w, stride, padding));
  }
  const w = random(tf, [kernel, kernel, c, o]);
  if (mode === "forward") return () => done(tf.conv2d(x, w, stride, padding));
  if (mode === "weightGrad" || groups > 1) return "its WebAssembly backend has no such gradient";
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const y = random(tf, [n, out, out, o]);
  return () => done(tf.conv2dTranspose(y, w, [n, size, size, c], stride, padding));
}

function mlp(tf: Tf): () => void {
  const x = random(tf, [32, 784]);
  const y = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 32 }, (_, i) => i % 10),
      "int32",
    ),
    10,
  );
  const [w1, w2] = [random(tf, [784, 64]), random(tf, [64, 10])].map((w) => tf.variable(w));
  const [b1, b2] = [tf.variable(tf.zeros([64])), tf.variable(tf.zeros([10]))];
  const opt = tf.train.sgd(0.01);
  const loss = () => tf.losses.softmaxCrossEntropy(y, x.matMul(w1).add(b1).relu().matMul(w2).add(b2));
  return () => done(opt.minimize(loss, true));
}
