/** The loader's worker thread: opens the data set that it is told of, and makes the batches that it is asked for. */
import type { Transferable } from "node:worker_threads";
import { parentPort, workerData } from "node:worker_threads";
import type { Batch, BatchJob } from "./batch.ts";
import { BatchMaker } from "./batch.ts";
import type { PoolStart } from "./pool.ts";
import { openDataset } from "./spec.ts";

/** What a worker answers to a job. */
export type WorkerAnswer = { readonly batch: Batch } | { readonly error: string };

const { spec, plan }: PoolStart = workerData;
const maker = openDataset(spec).then((dataset) => new BatchMaker(dataset, plan));

parentPort?.on("message", (job: BatchJob) => {
  maker
    .then((m) => m.make(job))
    .then(
      (batch) => answer({ batch }, buffers(batch)),
      (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) }, []),
    );
});

function answer(message: WorkerAnswer, transfer: readonly Transferable[]): void {
  parentPort?.postMessage(message, transfer);
}

/** The distinct memory blocks of a batch, to be moved rather than copied. */
function buffers({ arrays, samples }: Batch): ArrayBuffer[] {
  const fields = [...arrays, ...samples.flat()];
  return [...new Set(fields.flatMap((field) => (typeof field === "number" ? [] : field.data.buffer)))];
}
