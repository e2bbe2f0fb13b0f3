import { ManabiError } from "../../core/errors.ts";
import type { Memory } from "./memory.ts";
import { control, takePieces, type Work, type WorkerStart, workerProgram } from "./worker.ts";

/** A thread of the host. */
export interface HostThread {
  stop(): void;
}

/** How the host makes threads. */
export interface ThreadHost {
  /** Processors the process may use. */
  readonly processors: number;
  /** Starts a worker; it gets ready in its own time and does not keep the process alive. */
  start(given: WorkerStart): HostThread;
}

interface NodeModules {
  getBuiltinModule?(name: "node:worker_threads"): typeof import("node:worker_threads");
  getBuiltinModule?(name: "node:os"): typeof import("node:os");
}

/** Threads of this host; null where it has none. */
export function findThreadHost(): ThreadHost | null {
  const { process, Worker, navigator } = globalThis as {
    process?: NodeModules;
    Worker?: typeof globalThis.Worker;
    navigator?: { hardwareConcurrency?: number };
  };
  if (process?.getBuiltinModule) return nodeHost(process as Required<NodeModules>);
  return Worker ? browserHost(Worker, navigator?.hardwareConcurrency ?? 1) : null;
}

function nodeHost(process: Required<NodeModules>): ThreadHost {
  const { Worker } = process.getBuiltinModule("node:worker_threads") as typeof import("node:worker_threads");
  const { availableParallelism } = process.getBuiltinModule("node:os");
  const program = workerProgram("require('node:worker_threads').workerData");
  return {
    processors: availableParallelism(),
    start(workerData) {
      const worker = new Worker(program, { eval: true, workerData, execArgv: [], stdout: false, stderr: false });
      worker.unref();
      // One that cannot start or dies takes no part; the others do its work.
      worker.on("error", () => {});
      return { stop: () => void worker.terminate() };
    },
  };
}

function browserHost(Worker: typeof globalThis.Worker, processors: number): ThreadHost {
  let url: string | null = null;
  return {
    processors,
    start(given) {
      url ??= URL.createObjectURL(new Blob([`onmessage = ({ data }) => { ${workerProgram("data")} };`]));
      const worker = new Worker(url);
      worker.postMessage(given);
      return { stop: () => worker.terminate() };
    },
  };
}

/** Pieces of a job per thread: enough that nobody waits long for the last. */
const piecesPerThread = 4;
const mostThreads = 64;
/** Turns that waiting spins before it looks at the clock, about 10 us. */
const spins = 4096;

/** Workers that share the pieces of one job at a time with the thread that calls. */
export class Threads {
  private readonly memory: Memory;
  private readonly functions: readonly Work[];
  private readonly host: ThreadHost | null;
  private readonly patience: number;
  private readonly words: Int32Array;
  private readonly workers: HostThread[] = [];
  private lastModule = 0;
  private wanted: number;
  private isBroken = false;

  /** Throws after `patience` milliseconds without a sign of a worker that has taken a piece. */
  constructor(memory: Memory, functions: readonly Work[], host: ThreadHost | null, patience = 120_000) {
    this.memory = memory;
    this.functions = functions;
    this.host = memory.isShared ? host : null;
    this.patience = patience;
    this.words = new Int32Array(memory.words.buffer, 0, 1024);
    this.wanted = this.most(0);
  }

  private most(count: number): number {
    return this.host ? Math.min(mostThreads, count || this.host.processors) : 1;
  }

  /** Threads that take part as soon as they are ready. */
  get count(): number {
    return this.isBroken ? 1 : this.wanted;
  }

  /** Workers that have started. */
  get ready(): number {
    return this.memory.isShared ? Atomics.load(this.words, control.ready) : 0;
  }

  /** Sets the number of threads, 0 for one per processor; returns it. */
  setCount(count: number): number {
    this.wanted = this.most(count);
    return this.count;
  }

  /** Gives workers a module, which they compile before their next job. */
  addModule(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.host) return;
    const address = this.memory.alloc(8 + bytes.length, "code");
    const { words } = this.memory;
    words[address >>> 2] = bytes.length;
    words[(address >>> 2) + 1] = 0;
    new Uint8Array(words.buffer).set(bytes, address + 8);
    Atomics.store(words, this.lastModule === 0 ? control.modules : (this.lastModule >>> 2) + 1, address);
    this.lastModule = address;
    Atomics.add(words, control.moduleCount, 1);
  }

  /** Runs a function over [0, range); the context of thread t lies `ctxStep` * t bytes behind `ctx`. */
  run(number: number, ctx: number, ctxStep: number, range: number, grain: number): void {
    if (range <= 0) return;
    if (range <= grain || this.count === 1) {
      this.functions[number](ctx, 0, range, 0);
      return;
    }
    this.startWorkers();
    const { words } = this;
    words[control.range] = range;
    words[control.function] = number;
    words[control.ctx] = ctx;
    words[control.ctxStep] = ctxStep;
    words[control.pieces] = Math.min(Math.ceil(range / grain), this.wanted * piecesPerThread);
    words[control.threads] = this.wanted;
    Atomics.store(words, control.next, 0);
    Atomics.store(words, control.open, 1);
    Atomics.add(words, control.epoch, 1);
    Atomics.notify(words, control.epoch);
    try {
      takePieces(words, this.functions, 0);
    } finally {
      this.close();
    }
  }

  private startWorkers(): void {
    const { host, memory } = this;
    if (!host || this.workers.length >= this.wanted - 1) return;
    Atomics.store(this.words, control.spins, this.wanted <= host.processors ? spins : 0);
    try {
      while (this.workers.length < this.wanted - 1)
        this.workers.push(host.start({ memory: memory.memory, thread: this.workers.length + 1 }));
    } catch {
      // A page may forbid workers; those that have started take part.
      this.wanted = this.workers.length + 1;
    }
  }

  /** Waits for the workers inside the job; those that have not begun stay out. */
  private close(): void {
    const { words } = this;
    Atomics.store(words, control.open, 0);
    for (let turn = 1, since = 0; Atomics.load(words, control.inside) !== 0; turn++) {
      if (turn % spins !== 0) continue;
      const now = performance.now();
      since ||= now;
      if (now - since > this.patience) {
        this.isBroken = true;
        this.stop();
        throw new ManabiError(
          `wasm: a worker thread has not finished its part within ${this.patience / 1000} s, perhaps because it was ended; ` +
            "the results of this run are lost, and what follows is computed on one thread",
        );
      }
    }
    if (Atomics.exchange(words, control.failed, 0))
      throw new ManabiError("wasm: the code of a worker thread failed; setThreads(1) computes without workers");
  }

  /** Ends the workers. */
  stop(): void {
    Atomics.store(this.words, control.stop, 1);
    Atomics.add(this.words, control.epoch, 1);
    Atomics.notify(this.words, control.epoch);
    for (const worker of this.workers.splice(0)) worker.stop();
  }
}
