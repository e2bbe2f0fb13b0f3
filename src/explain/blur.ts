import { conv2d } from "../ops/conv.ts";
import { pad } from "../ops/padding.ts";
import { fromHost, type Tensor } from "../ops/tensor.ts";

/** Images blurred by a Gaussian of deviation `sigma` pixels, cut off at three of them; the border is repeated outwards.
 *  [n, c, h, w] -> [n, c, h, w]. */
export function gaussianBlur(images: Tensor, sigma: number): Tensor {
  const [, channels] = images.shape;
  const taps = gaussian(sigma, Math.ceil(3 * sigma));
  const radius = (taps.length - 1) / 2;
  const along = (x: Tensor, size: readonly [number, number]): Tensor => {
    const amounts = size.map((n): [number, number] => (n > 1 ? [radius, radius] : [0, 0]));
    const one = fromHost({ dtype: "f32", shape: [1, 1, ...size], data: taps });
    const weight = one.broadcastTo([channels, 1, ...size]);
    return conv2d(pad(x, amounts, { mode: "replicate" }), weight, null, { groups: channels });
  };
  return along(along(images, [taps.length, 1]), [1, taps.length]);
}

/** The weights of a Gaussian at -radius to radius, with sum 1. */
export function gaussian(sigma: number, radius: number): Float32Array<ArrayBuffer> {
  const taps = Float32Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = taps.reduce((a, b) => a + b, 0);
  return taps.map((tap) => tap / sum);
}
