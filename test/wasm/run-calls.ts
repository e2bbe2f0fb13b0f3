import assert from "node:assert/strict";
import { ModuleBuilder } from "../../src/backends/wasm/assembler.ts";
import type { Call } from "../../src/backends/wasm/call.ts";
import { importMath, mathImports } from "../../src/backends/wasm/f64-functions.ts";
import type { Buffer } from "../../src/compiler/instruction.ts";
import { arrayType, type TypedArray } from "../../src/core/dtype.ts";

const pageBytes = 1 << 16;
const alignment = 64;
/** Bytes around every buffer that nothing may change. */
const guardBytes = 64;
const guard = 0xa5;
const workType = ["i32", "i32", "i32", "i32"] as const;

type WorkExport = (ctx: number, begin: number, end: number, thread: number) => void;

export interface CallRunner {
  /** Runs the passes with the items of each cut into `chunks` runs, which two threads take in turns. */
  run(chunks: number): void;
  /** What a buffer holds. */
  read(buffer: Buffer): TypedArray;
}

/** Passes of one instruction in a memory of their own, without an engine: one thread plays two, with contexts of their own. */
export function callRunner(calls: readonly Call[], contents: ReadonlyMap<Buffer, TypedArray>): CallRunner {
  let top = alignment;
  const reserve = (bytes: number): number => {
    const at = top + guardBytes;
    top = Math.ceil((at + bytes + guardBytes) / alignment) * alignment;
    return at;
  };
  const most = (sizes: readonly (number | undefined)[]) => Math.max(0, ...sizes.map((n) => n ?? 0));
  const places = new Map([...contents].map(([buffer, { byteLength }]) => [buffer, reserve(byteLength)]));
  const shared = reserve(most(calls.map((c) => c.sharedBytes)));
  const own = [0, 1].map(() => reserve(most(calls.map((c) => c.threadBytes))));
  const contexts = calls.map((c) => [0, 1].map(() => reserve(4 * (c.buffers.length + 2 + c.params.length))));

  const pages = Math.ceil(top / pageBytes);
  const module = new ModuleBuilder({ initial: pages, maximum: pages, shared: false });
  importMath(module);
  const keys = new Map<string, Call["work"]>();
  for (const { work } of calls) {
    if (!keys.has(work.key))
      module.function(work.key, workType, null, (f, ctx, begin, end, thread) => {
        work.build(f, module, ctx, begin, end, thread);
        return undefined;
      });
    keys.set(work.key, work);
  }
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    env: { memory, ...mathImports },
  });

  const bytes = new Uint8Array(memory.buffer).fill(guard);
  for (const [buffer, values] of contents)
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), places.get(buffer));
  calls.forEach(({ buffers, params }, i) => {
    contexts[i].forEach((at, thread) => {
      const addresses = buffers.map(({ buffer, offset }) => {
        const size = arrayType(buffer.dtype).BYTES_PER_ELEMENT;
        return (places.get(buffer) as number) + offset * size;
      });
      new Int32Array(memory.buffer, at).set([...addresses, shared, own[thread], ...params]);
    });
  });

  return {
    run(chunks) {
      calls.forEach(({ work, range }, i) => {
        const step = Math.max(1, Math.ceil(range / chunks));
        for (let begin = 0, turn = 0; begin < range; begin += step, turn++) {
          const thread = turn % 2;
          (exports[work.key] as WorkExport)(contexts[i][thread], begin, Math.min(range, begin + step), thread);
        }
      });
      for (const [buffer, at] of places) {
        const end = at + (contents.get(buffer) as TypedArray).byteLength;
        const around = [...bytes.subarray(at - guardBytes, at), ...bytes.subarray(end, end + guardBytes)];
        assert.ok(
          around.every((b) => b === guard),
          "an operation writes outside of its buffers",
        );
      }
    },
    read: (buffer) =>
      new (arrayType(buffer.dtype))(memory.buffer.slice(places.get(buffer) as number), 0, buffer.size) as TypedArray,
  };
}
