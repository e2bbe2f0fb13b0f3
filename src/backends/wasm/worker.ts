/**
 * What a worker thread runs. These functions are handed over as text, so they use nothing from outside of themselves
 * and name no functions inside of themselves.
 */

/** A compiled work function. */
export type Work = (ctx: number, begin: number, end: number, thread: number) => void;

/** What a worker is given. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
}

/** Words of the control block at the start of the memory; those that are written often lie in cache lines of their own. */
export const control = {
  /** Counts jobs; idle workers watch it. */
  epoch: 0,
  /** Whether the job takes threads. */
  open: 16,
  /** Workers inside a job. */
  inside: 32,
  /** The next piece of the job. */
  next: 48,
  pieces: 64,
  range: 65,
  function: 66,
  ctx: 67,
  /** Bytes between the contexts of two threads. */
  ctxStep: 68,
  /** Threads that may take part. */
  threads: 69,
  /** Turns that an idle worker spins before it sleeps. */
  spins: 70,
  /** Set by a worker whose work has failed. */
  failed: 71,
  /** Set when workers are to end. */
  stop: 72,
  /** Address of the first module: its bytes' length, the address of the next one or 0, the bytes. */
  modules: 73,
  /** Workers that wait for jobs. */
  ready: 74,
  /** How many modules there are. */
  moduleCount: 75,
} as const;

/** Does pieces of the open job until none is left. */
export function takePieces(words: Int32Array, functions: readonly Work[], thread: number): void {
  const range = words[65];
  const pieces = words[64];
  const work = functions[words[66]];
  const ctx = words[67] + thread * words[68];
  for (;;) {
    const piece = Atomics.add(words, 48, 1);
    if (piece >= pieces) return;
    work(ctx, Math.floor((piece * range) / pieces), Math.floor(((piece + 1) * range) / pieces), thread);
  }
}

/** Waits for jobs and takes part in them, until it is told to stop. */
export function serve({ memory, thread }: WorkerStart, take: typeof takePieces): void {
  const words = new Int32Array(memory.buffer, 0, 1024);
  const math = { exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, sin: Math.sin, cos: Math.cos };
  const env = { memory, ...math, atan: Math.atan, tanh: Math.tanh, pow: Math.pow };
  const functions: Work[] = [];
  let [module, modules] = [0, 0];
  let seen = 0;
  Atomics.add(words, 74, 1);
  for (;;) {
    for (let spin = Atomics.load(words, 70); spin > 0 && Atomics.load(words, 0) === seen; spin--);
    Atomics.wait(words, 0, seen);
    seen = Atomics.load(words, 0);
    if (Atomics.load(words, 72)) return;
    if (thread >= Atomics.load(words, 69)) continue;
    // Announced before `open` is looked at; the main thread closes the job before it looks at `inside`.
    Atomics.add(words, 32, 1);
    try {
      if (Atomics.load(words, 16)) {
        if (modules < Atomics.load(words, 75)) memory.grow(0); // so that `buffer` is all of it
        for (; modules < Atomics.load(words, 75); modules++) {
          const heads = new Uint32Array(memory.buffer);
          module = heads[module === 0 ? 73 : (module >>> 2) + 1];
          const bytes = new Uint8Array(heads[module >>> 2]);
          bytes.set(new Uint8Array(memory.buffer, module + 8, bytes.length));
          const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
          while (exports[functions.length]) functions.push(exports[functions.length] as Work);
        }
        take(words, functions, thread);
      }
    } catch {
      Atomics.store(words, 71, 1);
    }
    Atomics.sub(words, 32, 1);
  }
}

/** The program of a worker: a call of `serve` on what `start`, an expression, gives. */
export const workerProgram = (start: string): string => `(${serve.toString()})(${start}, ${takePieces.toString()});`;
