import type { CopyInstruction } from "../../../compiler/instruction.ts";
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

export const copyDispatch = ({ from, to }: CopyInstruction): Dispatch => ({
  label: "a copy",
  operands: [
    { buffer: from, offset: 0, written: false },
    { buffer: to, offset: 0, written: true },
  ],
  params: [to.size],
  ...forEach(to.size, "    store1(q, load0(q));"),
});
