import type { TypedArray } from "../../core/dtype.ts";
import { type Shape, sizeOf, stridesOf } from "../../core/shape.ts";
import type { ConvAttrs } from "../../primitives/contract.ts";
import { gemm, rowMajor, transposed } from "./gemm.ts";
import { empty, type Kernels, rounded } from "./kernel.ts";
import { addView, copyView } from "./walk.ts";

export const contract = {
  dot({ node, inputs: [x, y], specs: [xs, ys] }) {
    const [m, k] = xs.shape.slice(-2);
    const n = ys.shape[ys.shape.length - 1];
    const out = empty(node);
    const batch = sizeOf(node.shape.slice(0, -2));
    for (let b = 0; b < batch; b++) gemm(m, n, k, rowMajor(x, b * m * k, k), rowMajor(y, b * k * n, n), out, b * m * n);
    return out;
  },

  conv({ node, inputs: [x, w], specs: [xs, ws], attrs }) {
    const g = geometry(xs.shape, ws.shape, node.shape, attrs);
    const out = empty(node);
    for (let n = 0; n < g.images; n++)
      for (let group = 0; group < attrs.groups; group++) {
        const columns = rowMajor(im2col(g, x, n, group), 0, g.pixels);
        const weight = rowMajor(w, group * g.outPerGroup * g.taps, g.taps);
        gemm(g.outPerGroup, g.pixels, g.taps, weight, columns, out, g.outOffset(n, group));
      }
    return out;
  },

  convInputGrad({ node, inputs: [y, w], specs: [ys, ws], attrs }) {
    const g = geometry(node.shape, ws.shape, ys.shape, attrs);
    const out = empty(node);
    for (let n = 0; n < g.images; n++)
      for (let group = 0; group < attrs.groups; group++) {
        const columns = new Float64Array(g.taps * g.pixels);
        const weight = transposed(rowMajor(w, group * g.outPerGroup * g.taps, g.taps));
        gemm(g.taps, g.pixels, g.outPerGroup, weight, rowMajor(y, g.outOffset(n, group), g.pixels), columns, 0);
        col2im(g, columns, out, n, group);
      }
    return out;
  },

  convWeightGrad({ node, inputs: [x, y], specs: [xs, ys], attrs }) {
    const g = geometry(xs.shape, node.shape, ys.shape, attrs);
    const sums = new Float64Array(sizeOf(node.shape));
    for (let n = 0; n < g.images; n++)
      for (let group = 0; group < attrs.groups; group++) {
        const columns = transposed(rowMajor(im2col(g, x, n, group), 0, g.pixels));
        const images = rowMajor(y, g.outOffset(n, group), g.pixels);
        gemm(g.outPerGroup, g.taps, g.pixels, images, columns, sums, group * g.outPerGroup * g.taps);
      }
    return rounded(node, sums);
  },
} satisfies Kernels<"dot" | "conv" | "convInputGrad" | "convWeightGrad">;

/** One convolution, seen as a product of matrices per image and group: weights [out, taps] x columns [taps, pixels]. */
interface Geometry {
  readonly images: number;
  readonly outPerGroup: number;
  /** Input channels per group times kernel positions. */
  readonly taps: number;
  /** Output positions. */
  readonly pixels: number;
  /** [channels per group, spatial..] of the input, and with its padding. */
  readonly tile: Shape;
  readonly padded: Shape;
  /** Where the input begins in the padded tile. */
  readonly origin: number;
  /** [channels per group, kernel.., output..]: the axes of the columns, and their strides in the padded tile. */
  readonly windows: Shape;
  readonly windowStrides: readonly number[];
  /** Where the channels of a group begin in x and in y. */
  readonly inOffset: (image: number, group: number) => number;
  readonly outOffset: (image: number, group: number) => number;
}

function geometry(x: Shape, w: Shape, y: Shape, { stride, padding, dilation, groups }: ConvAttrs): Geometry {
  const [channels, ...kernel] = w.slice(1);
  const tile = [channels, ...x.slice(2)];
  const padded = [channels, ...x.slice(2).map((d, i) => padding[i][0] + d + padding[i][1])];
  const [channelStride, ...spatial] = stridesOf(padded);
  const [outPerGroup, pixels] = [w[0] / groups, sizeOf(y.slice(2))];
  return {
    images: x[0],
    outPerGroup,
    taps: channels * sizeOf(kernel),
    pixels,
    tile,
    padded,
    origin: spatial.reduce((sum, s, i) => sum + padding[i][0] * s, 0),
    windows: [channels, ...kernel, ...y.slice(2)],
    windowStrides: [channelStride, ...spatial.map((s, i) => s * dilation[i]), ...spatial.map((s, i) => s * stride[i])],
    inOffset: (image, group) => (image * groups + group) * sizeOf(tile),
    outOffset: (image, group) => (image * groups + group) * outPerGroup * pixels,
  };
}

/** The windows of one image and group as columns: [taps, pixels]. */
function im2col(g: Geometry, x: TypedArray, image: number, group: number): Float64Array<ArrayBuffer> {
  const start = g.inOffset(image, group);
  const tile = new Float64Array(x.subarray(start, start + sizeOf(g.tile)));
  const padded = new Float64Array(sizeOf(g.padded));
  copyView(
    g.tile,
    { data: padded, offset: g.origin, strides: stridesOf(g.padded) },
    { data: tile, offset: 0, strides: stridesOf(g.tile) },
  );
  const columns = new Float64Array(g.taps * g.pixels);
  copyView(
    g.windows,
    { data: columns, offset: 0, strides: stridesOf(g.windows) },
    { data: padded, offset: 0, strides: g.windowStrides },
  );
  return columns;
}

/** The adjoint of `im2col`: sums the columns where their windows overlap. */
function col2im(g: Geometry, columns: TypedArray, x: TypedArray, image: number, group: number): void {
  const padded = new Float64Array(sizeOf(g.padded));
  addView(
    g.windows,
    { data: padded, offset: 0, strides: g.windowStrides },
    { data: columns, offset: 0, strides: stridesOf(g.windows) },
  );
  const tile = new Float64Array(sizeOf(g.tile));
  copyView(
    g.tile,
    { data: tile, offset: 0, strides: stridesOf(g.tile) },
    { data: padded, offset: g.origin, strides: stridesOf(g.padded) },
  );
  x.set(tile, g.inOffset(image, group));
}
