import type { CopyInstruction } from "../../../compiler/instruction.ts";
import { isHalf } from "../../../core/dtype.ts";
import { startsWord } from "../wgsl/pairs.ts";
import { type Dispatch, param } from "../wgsl/shader.ts";

const threads = 256;

/** A shader that does `text` for every q from 0 to `count`, which it reads as `counted`. */
export const forEach = (
  count: number,
  text: string,
  before = "",
  counted = param(0),
): Pick<Dispatch, "code" | "groups"> => ({
  code: {
    before,
    body: `  let q = group * ${threads} + lane;\n  if (q < ${counted}) {\n${text}\n  }`,
    threads,
  },
  groups: Math.ceil(count / threads),
});

export function copyDispatch({ from, to }: CopyInstruction): Dispatch {
  const inPairs = isHalf(to.dtype) && startsWord(to);
  const [count, text] = inPairs
    ? [Math.ceil(to.size / 2), "    put_pair1(2 * q, pattern0(2 * q) | (pattern0(2 * q + 1) << 16u));"]
    : [to.size, isHalf(to.dtype) ? "    put1(q, pattern0(q));" : "    store1(q, load0(q));"];
  return {
    label: "a copy",
    operands: [
      { buffer: from, offset: 0, written: false },
      { buffer: to, offset: 0, written: true, inPairs },
    ],
    params: [count],
    ...forEach(count, text),
  };
}
