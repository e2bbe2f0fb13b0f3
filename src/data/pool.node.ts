import { Worker } from "node:worker_threads";
import { ManabiError } from "../core/errors.ts";
import type { Batch, BatchJob } from "./batch.ts";
import type { OpenPool, Pool, PoolStart } from "./pool.ts";
import type { WorkerAnswer } from "./worker.ts";

interface Task {
  readonly job: BatchJob;
  readonly owner: object;
  wanted: boolean;
  /** Names the job in the message of a crash. */
  readonly title: string;
  readonly resolve: (batch: Batch) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  task: Task | null;
}

export const openPool: OpenPool = (size, start) => new WorkerPool(size, start);

/**
 * Worker threads that make batches. Threads start with the first job and stay until `close`; they keep the process
 * alive only while somebody waits for a batch.
 */
class WorkerPool implements Pool {
  readonly #size: number;
  readonly #start: PoolStart;
  readonly #threads = new Set<Thread>();
  #queue: Task[] = [];

  constructor(size: number, start: PoolStart) {
    this.#size = size;
    this.#start = start;
  }

  run(job: BatchJob, owner: object, title: string): Promise<Batch> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, owner, wanted: true, title, resolve, reject });
      this.#dispatch();
    });
  }

  abandon(owner: object): void {
    this.#queue = this.#queue.filter((task) => task.owner !== owner);
    for (const { task } of this.#threads) if (task?.owner === owner) task.wanted = false;
    this.#holdProcess();
  }

  async close(): Promise<void> {
    const threads = [...this.#threads];
    this.#threads.clear();
    const waiting = [...this.#queue, ...threads.flatMap(({ task }) => task ?? [])];
    this.#queue = [];
    for (const { reject } of waiting) reject(new ManabiError("the loader was closed while batches were awaited"));
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length) {
      const thread = this.#idle();
      if (!thread) break;
      thread.task = this.#queue.shift() ?? null;
      thread.worker.postMessage(thread.task?.job);
    }
    this.#holdProcess();
  }

  /** Busy threads keep the process alive if somebody waits for their batch, or for one that is still in the queue. */
  #holdProcess(): void {
    for (const { worker, task } of this.#threads)
      if (task && (task.wanted || this.#queue.length)) worker.ref();
      else worker.unref();
  }

  #idle(): Thread | null {
    for (const thread of this.#threads) if (!thread.task) return thread;
    return this.#threads.size < this.#size ? this.#spawn() : null;
  }

  #spawn(): Thread {
    // The file has the extension of this one: .ts from source, .js when compiled.
    const file = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url);
    // A worker takes over this process's flags; those of `node -e` would make it refuse to run a file.
    const evaluated = process.execArgv.some((flag) => flag.startsWith("--input-type"));
    const worker = new Worker(file, { workerData: this.#start, ...(evaluated && { execArgv: [] }) });
    const thread: Thread = { worker, task: null };
    let failure: Error | null = null;
    worker.on("message", (answer: WorkerAnswer) => this.#settle(thread, answer));
    worker.on("error", (error) => {
      failure = error;
    });
    worker.on("exit", (status) => this.#bury(thread, failure ?? new Error(`it ended with status ${status}`)));
    this.#threads.add(thread);
    return thread;
  }

  #settle(thread: Thread, answer: WorkerAnswer): void {
    const { task } = thread;
    thread.task = null;
    if ("batch" in answer) task?.resolve(answer.batch);
    else task?.reject(new ManabiError(answer.error));
    this.#dispatch();
  }

  #bury(thread: Thread, cause: Error): void {
    if (!this.#threads.delete(thread)) return; // closed on purpose
    const { task } = thread;
    task?.reject(new ManabiError(`a loader worker crashed at ${task.title}: ${cause.message}`, { cause }));
    this.#dispatch();
  }
}
