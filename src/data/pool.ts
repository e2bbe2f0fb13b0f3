import type { Batch, BatchJob, BatchPlan } from "./batch.ts";
import type { DatasetSpec } from "./dataset-spec.ts";

/** What a thread needs to make batches of a data set. */
export interface PoolStart {
  readonly spec: DatasetSpec;
  readonly plan: BatchPlan;
}

/** Threads that make batches. */
export interface Pool {
  /** Makes a batch; jobs start in the order in which they are given. `owner` is who may abandon it. */
  run(job: BatchJob, owner: object, title: string): Promise<Batch>;
  /** Forgets the jobs of `owner`: waiting ones are dropped, running ones end unheard. */
  abandon(owner: object): void;
  /** Ends all threads. */
  close(): Promise<void>;
}

/** Makes a pool of `size` threads, where the platform can. */
export type OpenPool = (size: number, start: PoolStart) => Pool;
