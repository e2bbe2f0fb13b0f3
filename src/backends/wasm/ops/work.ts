import type { OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import { add, type FunctionBuilder, type Local, load, type ModuleBuilder, type Value } from "../assembler.ts";
import type { Call } from "../call.ts";

/** A buffer and the element of it where an operand begins. */
export type Place = Call["buffers"][number];

/** Operand `i` of an instruction. */
export const placeOf = ({ buffers, offsets }: OpInstruction, i: number): Place => ({
  buffer: buffers[i],
  offset: offsets[i],
});

/** The words of a context by name, with the addresses of both kinds of scratch memory. */
type Words<N extends string> = Readonly<Record<N | "shared" | "own", Local>>;

interface WorkOptions<B extends string, P extends string> {
  readonly key: string;
  readonly buffers: readonly B[];
  readonly params: readonly P[];
  /** `table` is the address of the numbers that follow the parameters, as far as a call gives some. */
  build(
    f: FunctionBuilder,
    module: ModuleBuilder,
    words: Words<B | P>,
    items: { readonly begin: Local; readonly end: Local },
    table: Value,
  ): void;
}

export interface CallOptions<B extends string, P extends string>
  extends Pick<Call, "range" | "grain" | "sharedBytes" | "threadBytes"> {
  readonly buffers: Readonly<Record<B, Place>>;
  readonly params: Readonly<Record<P, number>>;
  readonly table?: readonly number[];
}

/** A work function whose context is addressed by names; the result makes calls of it. */
export function defineWork<B extends string, P extends string>({ key, buffers, params, build }: WorkOptions<B, P>) {
  const names = [...buffers, "shared", "own", ...params];
  if (new Set(names).size < names.length) throw new ManabiError(`wasm: ${key} has two words of one name: ${names}`);
  const work: Call["work"] = {
    key,
    build(f, module, ctx, begin, end) {
      const words = Object.fromEntries(names.map((name, i) => [name, f.let(load("i32.load", ctx, 4 * i))]));
      build(f, module, words as Words<B | P>, { begin, end }, add(ctx, 4 * names.length));
    },
  };
  return (call: CallOptions<B, P>): Call => {
    const values = [...params.map((name) => call.params[name]), ...(call.table ?? [])];
    for (const value of values)
      if (value !== (value | 0))
        throw new ManabiError(
          `wasm: ${key} cannot take ${value}: sizes and strides in bytes are below 2^31 here; cut the operands`,
        );
    return {
      work,
      buffers: buffers.map((name) => call.buffers[name]),
      params: values,
      range: call.range,
      grain: Math.max(1, Math.ceil(call.grain)),
      sharedBytes: call.sharedBytes,
      threadBytes: call.threadBytes,
    };
  };
}

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const roundUp = (a: number, b: number): number => ceilDiv(a, b) * b;
export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
/** Items that make a number of multiplications worth a thread of its own. */
export const grainOf = (productsPerItem: number): number => ceilDiv(1 << 16, Math.max(1, productsPerItem));
