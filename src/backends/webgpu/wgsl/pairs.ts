import { usesVar } from "../../../compiler/expr.ts";
import type { Buffer } from "../../../compiler/instruction.ts";
import type { Kernel, Store } from "../../../compiler/kernel.ts";
import { topReductions } from "../../../compiler/reductions.ts";
import { isHalf } from "../../../core/dtype.ts";

/**
 * Two 16-bit floats share a word, and two threads must not write parts of one: a thread that computes two neighbouring
 * results writes their word, everything else writes its half atomically.
 */

/** Whether element 0 of a buffer begins a word: a slice moves with the loop around it. */
export const startsWord = ({ place, size }: Buffer): boolean =>
  place.kind !== "slice" || (size % 2 === 0 && startsWord(place.of));

/** Whether a store writes 16-bit floats to the device's memory, rather than to that of a workgroup. */
export const storesHalf = ({ buffers }: Kernel, { buffer }: Store): boolean =>
  isHalf(buffers[buffer].dtype) && buffers[buffer].row === undefined;

/**
 * Whether every store of 16-bit floats can be one of pairs: a thread's two neighbouring positions are those of one word.
 * `buffers` are those of the kernel's instruction.
 */
export function canPair(kernel: Kernel, buffers: readonly Buffer[]): boolean {
  const halves = kernel.stores.filter((s) => storesHalf(kernel, s));
  // Where several threads reduce, one of them stores the result.
  if (kernel.stores[0].inner === undefined && topReductions(kernel.stores).length > 0) return false;
  return halves.length > 0 && halves.every((s) => isPairable(s, buffers[s.buffer], kernel.axes));
}

function isPairable({ index, inner }: Store, buffer: Buffer, axes: Kernel["axes"]): boolean {
  const last = (inner ?? axes).at(-1);
  if (!last || !startsWord(buffer)) return false;
  const own = index.terms.filter(({ atom }) => atom.kind === "var" && atom.v === last);
  const rest = index.terms.filter((term) => !own.includes(term));
  if (own.length !== 1 || own[0].coef !== 1) return false;
  // The half behind the last element of a buffer belongs to nobody.
  const whole = rest.length === 0 && index.offset === 0 && buffer.size === last.size;
  const even = (n: number) => n % 2 === 0;
  const aligned = even(last.size) && even(index.offset) && rest.every(({ coef }) => even(coef));
  return whole || (aligned && !rest.some((term) => usesVar({ ...index, terms: [term] }, last)));
}
