import { add, minOf, mul, sub } from "../assembler.ts";
import type { Call } from "../call.ts";
import { ceilDiv, defineWork, type Place } from "./work.ts";

const block = 1 << 16;

const fill = defineWork({
  key: "fill",
  buffers: ["to"],
  params: ["value", "bytes"],
  build(f, _module, { to, value, bytes }, { begin, end }) {
    const from = mul(begin, block);
    const stop = minOf(bytes, mul(end, block));
    f.do("memory.fill", add(to, from), value, sub(stop, from));
  },
});

/** Sets `bytes` bytes to `value`. */
export function fillCalls(to: Place, value: number, bytes: number): readonly Call[] {
  if (bytes === 0) return [];
  return [fill({ buffers: { to }, params: { value, bytes }, range: ceilDiv(bytes, block), grain: 1 })];
}
