import { onCompile } from "../backends/native/toolchain.ts";
import type { Output } from "../train/output.ts";

/** Says so while code is compiled, which takes seconds the first time. */
export function announceCompiling(output: Output): void {
  onCompile((what) => output.status(`compiling ${what} ...`));
}
