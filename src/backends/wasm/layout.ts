import type { Buffer } from "../../compiler/instruction.ts";
import type { MemoryPlan } from "../../compiler/plan.ts";
import { byteSize } from "../../core/dtype.ts";
import type { Call } from "./call.ts";
import type { Step } from "./calls.ts";
import { aligned } from "./heap.ts";

/** A call as it is made. */
export interface Started {
  readonly number: number;
  readonly ctx: number;
  readonly ctxStep: number;
  readonly range: number;
  readonly grain: number;
}

/** A word that moves by a number of bytes at every turn of a loop. */
interface Moving {
  readonly word: number;
  readonly stride: number;
}

/** Steps with addresses; words are counted from the start of the memory. */
export type Placed =
  | { readonly calls: readonly Started[] }
  | { readonly count: number; readonly body: readonly Placed[]; readonly moving: readonly Moving[] };

/** A word of a context that holds the address of an input or output, plus an offset. */
export interface Reference {
  readonly word: number;
  readonly offset: number;
}

/** Where everything of a program lies: contexts, temporaries, scratch memory, and the values that come and go. */
export interface Layout {
  readonly base: number;
  readonly bytes: number;
  /** The contexts; addresses of inputs and outputs are filled in by the run. */
  readonly contexts: Int32Array<ArrayBuffer>;
  readonly steps: readonly Placed[];
  readonly inputs: ReadonlyMap<number, readonly Reference[]>;
  readonly outputs: ReadonlyMap<number, readonly Reference[]>;
  /** Places of outputs, and of inputs that lie outside of the memory. */
  readonly outputAt: readonly number[];
  readonly inputAt: ReadonlyMap<number, number>;
}

interface LayoutOptions {
  readonly steps: readonly Step[];
  readonly plan: MemoryPlan;
  readonly results: readonly Buffer[];
  /** Bytes of the inputs that are to have a place. */
  readonly staged: ReadonlyMap<number, number>;
  readonly threads: number;
  numberOf(call: Call): number;
  /** The address of what outlives a run. */
  held(buffer: Buffer): number;
  /** The address of so many bytes. */
  reserve(bytes: number): number;
}

const bytesOf = ({ size, dtype }: Buffer): number => size * byteSize(dtype);
const wordsOf = ({ buffers, params }: Call): number => Math.ceil((buffers.length + 2 + params.length) / 4) * 4;
const flat = (steps: readonly Step[]): Call[] => steps.flatMap((s) => ("calls" in s ? s.calls : flat(s.body)));

export function layOut(options: LayoutOptions): Layout {
  const { steps, plan, results, staged, threads } = options;
  const calls = flat(steps);
  const copiesOf = (call: Call) => (call.threadBytes ? threads : 1);
  const largest = (of: (call: Call) => number | undefined) =>
    aligned(calls.reduce((n, c) => Math.max(n, of(c) ?? 0), 0));

  let bytes = 0;
  const place = (size: number): number => {
    const at = bytes;
    bytes += aligned(size);
    return at;
  };
  const contextWords = calls.reduce((n, call) => n + wordsOf(call) * copiesOf(call), 0);
  const contextsAt = place(contextWords * 4);
  const temporariesAt = place(plan.bytes);
  const sharedAt = place(largest((c) => c.sharedBytes));
  const ownBytes = largest((c) => c.threadBytes);
  const ownAt = place(ownBytes * threads);
  const outputAt = results.map((b) => (b.place.kind === "output" ? place(bytesOf(b)) : 0));
  const stagedAt = [...staged].map(([index, size]): [number, number] => [index, place(size)]);
  const base = options.reserve(bytes);
  const inputAt = new Map(stagedAt.map(([index, at]) => [index, base + at]));

  const contexts = new Int32Array(contextWords);
  const inputs = new Map<number, Reference[]>();
  const outputs = new Map<number, Reference[]>();
  /** Words that move with each of the loops being placed, outermost first. */
  const loops: Moving[][] = [];
  let next = 0;

  const address = (buffer: Buffer, word: number, offset: number): number => {
    const { place } = buffer;
    switch (place.kind) {
      case "temp":
        return base + temporariesAt + (plan.offsets.get(buffer) as number) + offset;
      case "data":
      case "kept":
        return options.held(buffer) + offset;
      case "input":
      case "output": {
        const list = place.kind === "input" ? inputs : outputs;
        list.set(place.index, [...(list.get(place.index) ?? []), { word, offset }]);
        return 0;
      }
      case "slice": {
        const stride = bytesOf(buffer) * (place.reverse ? -1 : 1);
        loops[place.depth].push({ word: base / 4 + word, stride });
        return address(place.of, word, offset + (place.reverse ? (place.length - 1) * bytesOf(buffer) : 0));
      }
    }
  };
  const placeCall = (call: Call): Started => {
    const start = next;
    const words = wordsOf(call);
    for (let thread = 0; thread < copiesOf(call); thread++, next += words) {
      call.buffers.forEach(({ buffer, offset }, i) => {
        contexts[next + i] = address(buffer, next + i, offset * byteSize(buffer.dtype));
      });
      const scratch = [base + sharedAt, base + ownAt + thread * ownBytes];
      contexts.set([...scratch, ...call.params], next + call.buffers.length);
    }
    const ctxStep = copiesOf(call) > 1 ? 4 * words : 0;
    return {
      number: options.numberOf(call),
      ctx: base + contextsAt + 4 * start,
      ctxStep,
      range: call.range,
      grain: call.grain,
    };
  };
  const placeSteps = (list: readonly Step[]): Placed[] =>
    list.map((step) => {
      if ("calls" in step) return { calls: step.calls.map(placeCall) };
      const moving: Moving[] = [];
      loops.push(moving);
      const body = placeSteps(step.body);
      loops.pop();
      return { count: step.count, body, moving };
    });
  const placed = placeSteps(steps);
  return {
    ...{ base, bytes, contexts, steps: placed, inputs, outputs, inputAt },
    outputAt: outputAt.map((at) => base + at),
  };
}
