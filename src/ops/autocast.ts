import { type HalfDType, isHalf } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";

let active: HalfDType | null = null;

/** The dtype that products are computed in where `autocast` is in force, else null. */
export const autocastDType = (): HalfDType | null => active;

/**
 * Runs `fn` in mixed precision: products (matmul, linear, convolutions, attention, recurrent layers) take their operands
 * in `dtype` and give it; what needs range or sums many terms (softmax, losses, layer and group norms, exp, log, pow,
 * sums) works in f32 and gives f32; all else follows its operands. Parameters stay f32, and so do their gradients.
 * "none" turns it off within another one. As torch.autocast; docs/mixed-precision.md has the lists.
 */
export function autocast<T>(dtype: HalfDType | "none", fn: () => T): T {
  if (dtype !== "none" && !isHalf(dtype))
    throw new ManabiError(`autocast: the dtype is "bf16", "f16" or "none", got ${JSON.stringify(dtype)}`);
  const outer = active;
  active = dtype === "none" ? null : dtype;
  try {
    const result = fn();
    if (result instanceof Promise)
      throw new ManabiError("autocast: the function must not be async; await outside of it");
    return result;
  } finally {
    active = outer;
  }
}
