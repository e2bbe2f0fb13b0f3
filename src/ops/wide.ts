import { isFloat, isHalf, promote } from "../core/dtype.ts";
import { autocastDType } from "./autocast.ts";
import { Tensor } from "./tensor.ts";

type Fn<A extends readonly unknown[]> = (...args: A) => Tensor;

const wide =
  (staysWide: () => boolean) =>
  <A extends readonly unknown[]>(fn: Fn<A>): Fn<A> =>
  (...args) => {
    const floats = args.flatMap((x) => (x instanceof Tensor && isFloat(x.dtype) ? [x.dtype] : []));
    if (!floats.some(isHalf)) return fn(...args);
    const widened = args.map((x) => (x instanceof Tensor && isHalf(x.dtype) ? x.cast("f32") : x));
    const out = fn(...(widened as readonly unknown[] as A));
    return staysWide() ? out : out.cast(floats.reduce(promote));
  };

/** `fn` of several steps as one operation of 16-bit floats: computed in f32, the result rounded once, gradients too. */
export const roundedOnce = wide(() => false);

/** `roundedOnce`, but for autocast, which leaves the result in f32. */
export const inFloat32 = wide(() => autocastDType() !== null);
