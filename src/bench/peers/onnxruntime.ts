/** ONNX Runtime in Node. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Library, type Load, type Request, values, versionOf } from "./serve.ts";

interface Onnx {
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => object;
  readonly InferenceSession: {
    create(path: string, options: object): Promise<{ run(feeds: Record<string, object>): Promise<unknown> }>;
  };
}

export async function connect(load: Load, threads: number): Promise<Library> {
  const ort = await load<Onnx & { default?: Onnx }>("onnxruntime-node").then((m) => m.default ?? m);
  return { name: versionOf("onnxruntime-node"), prepare: (request) => prepare(ort, request, threads) };
}

async function prepare(ort: Onnx, request: Request, threads: number): Promise<(() => Promise<unknown>) | string> {
  if (request.case !== "inference") return "it does inference only";
  const batch = Number(request.batch);
  const folder = await mkdtemp(join(tmpdir(), "manabi-onnx-"));
  try {
    const file = join(folder, "resnet50.onnx");
    await writeModel(file, batch);
    const session = await ort.InferenceSession.create(file, {
      graphOptimizationLevel: "all",
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    });
    const shape = [batch, 3, 224, 224];
    const x = new ort.Tensor("float32", values(shape), shape);
    return () => session.run({ x });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeModel(file: string, batch: number): Promise<void> {
  const script = fileURLToPath(new URL("./resnet50-onnx.py", import.meta.url));
  try {
    await promisify(execFile)("python3", [script, file, String(batch)]);
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    throw new Error(`the ONNX file needs PyTorch to be made: ${stderr.trim().split("\n").at(-1) || message}`);
  }
}
