import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { precisionAttrs } from "../graph/precision.ts";
import { type ConvAttrs, conv, convInputGrad } from "../primitives/contract.ts";
import { productOperand, Tensor } from "./tensor.ts";
import { roundedOnce } from "./wide.ts";

/** One number for every spatial axis, or one per axis. */
export type PerAxis = number | readonly number[];

/** The value of each of `rank` spatial axes. */
export function perAxis(op: string, name: string, value: PerAxis, rank: number, least = 1): number[] {
  const list = typeof value === "number" ? new Array<number>(rank).fill(value) : [...value];
  if (list.length !== rank || list.some((v) => !Number.isInteger(v) || v < least))
    throw new ShapeError(
      `${op}: ${name} ${JSON.stringify(value)} must be an integer >= ${least}, or ${rank} of them, one per spatial axis`,
    );
  return list;
}

/** Zeros around the input: per axis a number or [before, after]; "valid" is none. "same" keeps the extents, or, with a
 *  stride, makes them extent / stride rounded up, as TensorFlow does: an odd zero stands behind. */
export type ConvPadding = "same" | "valid" | number | readonly (number | readonly [number, number])[];

export interface ConvOptions {
  readonly stride?: PerAxis;
  readonly padding?: ConvPadding;
  /** Distance between the taps of the kernel. */
  readonly dilation?: PerAxis;
  /** Channels are split into this many groups that do not mix. */
  readonly groups?: number;
}

/** Zeros [before, after] an axis of `extent` elements for which windows of `size` taps give extent / stride outputs, rounded
 *  up. */
export function samePadding(extent: number, size: number, stride = 1, dilation = 1): [before: number, after: number] {
  const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + (size - 1) * dilation + 1 - extent);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** The attributes of the primitive for a kernel over an input with these spatial extents. */
export function convGeometry(
  op: string,
  kernel: readonly number[],
  extents: readonly number[],
  options: ConvOptions,
): ConvAttrs {
  const rank = kernel.length;
  const { padding = 0, groups = 1 } = options;
  const stride = perAxis(op, "stride", options.stride ?? 1, rank);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, rank);
  perAxis(op, "groups", groups, 1);
  const attrs = { stride, dilation, groups };
  if (padding === "valid") return { ...attrs, padding: kernel.map(() => [0, 0]) };
  if (padding === "same")
    return { ...attrs, padding: kernel.map((k, i) => samePadding(extents[i], k, stride[i], dilation[i])) };
  if (typeof padding === "string")
    throw new ManabiError(`${op}: padding is a number, one per axis, "same" or "valid", got "${padding as string}"`);
  const list = typeof padding === "number" ? kernel.map(() => padding) : padding;
  const pairs = list.map((p): [number, number] => (typeof p === "number" ? [p, p] : [p[0], p[1]]));
  if (pairs.length !== rank || pairs.flat().some((p) => !Number.isInteger(p) || p < 0))
    throw new ShapeError(
      `${op}: padding ${JSON.stringify(padding)} must be an integer >= 0, or ${rank} of them or of [before, after]`,
    );
  return { ...attrs, padding: pairs };
}

/** Checks what x and weight have in common in both kinds; `names` are the leading axes of the weight in words. */
function checkOperands(op: string, x: Tensor, weight: Tensor, rank: number, names: string): void {
  const spatial = "dhw".slice(3 - rank).split("");
  if (x.rank !== rank + 2)
    throw new ShapeError(`${op}: x must be [n, c, ${spatial.join(", ")}], it is ${showShape(x.shape)}`);
  if (weight.rank !== rank + 2)
    throw new ShapeError(
      `${op}: weight must be [${names}, ${spatial.map((s) => `k${s}`).join(", ")}], it is ${showShape(weight.shape)}`,
    );
}

function addBias(op: string, y: Tensor, bias: Tensor | null): Tensor {
  if (!bias) return y;
  if (bias.rank !== 1 || bias.shape[0] !== y.shape[1])
    throw new ShapeError(`${op}: bias ${showShape(bias.shape)} must be [${y.shape[1]}], one value per output channel`);
  return y.add(bias.reshape([bias.size, ...y.shape.slice(2).map(() => 1)]));
}

function convolve(rank: number, x: Tensor, weight: Tensor, bias: Tensor | null, options: ConvOptions): Tensor {
  const op = `conv${rank}d`;
  checkOperands(op, x, weight, rank, "out, in / groups");
  const [out, perGroup, ...kernel] = weight.shape;
  const geometry = convGeometry(op, kernel, x.shape.slice(2), options);
  const { padding, dilation, groups } = geometry;
  if (perGroup * groups !== x.shape[1])
    throw new ShapeError(
      `${op}: weight ${showShape(weight.shape)} expects ${perGroup * groups} input channels` +
        `${groups > 1 ? ` in ${groups} groups` : ""}, x is ${showShape(x.shape)}`,
    );
  if (out % groups)
    throw new ShapeError(
      `${op}: the ${out} output channels of weight ${showShape(weight.shape)} do not divide into ${groups} groups`,
    );
  kernel.forEach((k, i) => {
    const span = (k - 1) * dilation[i] + 1;
    const room = x.shape[i + 2] + padding[i][0] + padding[i][1];
    if (span > room)
      throw new ShapeError(
        `${op}: the kernel of weight ${showShape(weight.shape)} spans ${span} along spatial axis ${i}, ` +
          `x ${showShape(x.shape)} has ${room} there with padding`,
      );
  });
  const attrs = { ...geometry, ...precisionAttrs() };
  return rounded((x, w, b) => addBias(op, new Tensor(conv(x.node, w.node, attrs)), b), x, weight, bias);
}

type Biased = (x: Tensor, weight: Tensor, bias: Tensor | null) => Tensor;
/** A convolution with its bias as one operation of 16-bit floats, which autocast makes its operands. */
const rounded = (fn: Biased, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor =>
  roundedOnce(fn)(productOperand(x), productOperand(weight), productOperand(bias));

const convolution =
  (rank: number) =>
  (x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor =>
    convolve(rank, x, weight, bias, options);

/** Cross-correlation: x [n, c, w], weight [out, c / groups, kw], bias [out] -> [n, out, w']. */
export const conv1d = convolution(1);
/** Cross-correlation: x [n, c, h, w], weight [out, c / groups, kh, kw], bias [out] -> [n, out, h', w']. */
export const conv2d = convolution(2);
/** Cross-correlation: x [n, c, d, h, w], weight [out, c / groups, kd, kh, kw], bias [out] -> [n, out, d', h', w']. */
export const conv3d = convolution(3);

export interface ConvTransposeOptions {
  readonly stride?: PerAxis;
  /** Rows and columns cropped from each side of the result. */
  readonly padding?: PerAxis;
  /** Added to one side of the result, to choose among the sizes that convolve to the same size. */
  readonly outputPadding?: PerAxis;
  readonly dilation?: PerAxis;
  readonly groups?: number;
}

function convolveTransposed(
  rank: number,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
): Tensor {
  const op = `convTranspose${rank}d`;
  checkOperands(op, x, weight, rank, "in, out / groups");
  const { groups = 1 } = options;
  const stride = perAxis(op, "stride", options.stride ?? 1, rank);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, rank);
  const crop = perAxis(op, "padding", options.padding ?? 0, rank, 0);
  const extra = perAxis(op, "outputPadding", options.outputPadding ?? 0, rank, 0);
  perAxis(op, "groups", groups, 1);
  const [channels, , ...kernel] = weight.shape;
  if (channels !== x.shape[1] || channels % groups)
    throw new ShapeError(
      `${op}: weight ${showShape(weight.shape)} expects ${channels} input channels in ${groups} equal group(s), ` +
        `x is ${showShape(x.shape)}`,
    );
  if (extra.some((e, i) => e >= Math.max(stride[i], dilation[i])))
    throw new ShapeError(
      `${op}: outputPadding [${extra}] must be smaller than stride [${stride}] or dilation [${dilation}]`,
    );
  // The extra rows are first cropped less, then zeros; the gradient primitive takes fewer than `stride` of those.
  const high = crop.map((p, i) => Math.max(0, p - extra[i]));
  const beyond = extra.map((e, i) => Math.max(0, e - crop[i]));
  const outside = beyond.map((b, i) => (b < stride[i] ? 0 : b));
  const spatial = kernel.map(
    (k, i) => (x.shape[i + 2] - 1) * stride[i] + (k - 1) * dilation[i] + 1 - crop[i] - high[i] + beyond[i] - outside[i],
  );
  if (spatial.some((d) => d < 1))
    throw new ShapeError(
      `${op}: padding [${crop}] leaves nothing of the result ${showShape(spatial)}; x is ${showShape(x.shape)}`,
    );
  const padding = crop.map((p, i) => [p, high[i]] as const);
  const attrs = { stride, padding, dilation, groups, spatial, ...precisionAttrs() };
  const beyondStride = outside.map((b) => [0, b] as const);
  const convolved: Biased = (x, w, b) =>
    addBias(op, new Tensor(convInputGrad(x.node, w.node, attrs)).pad(beyondStride), b);
  return rounded(convolved, x, weight, bias);
}

const transposedConvolution =
  (rank: number) =>
  (x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvTransposeOptions = {}): Tensor =>
    convolveTransposed(rank, x, weight, bias, options);

/** Transposed convolution: x [n, c, w], weight [c, out / groups, kw], bias [out] -> [n, out, w']. */
export const convTranspose1d = transposedConvolution(1);
/** Transposed convolution: x [n, c, h, w], weight [c, out / groups, kh, kw], bias [out] -> [n, out, h', w']. */
export const convTranspose2d = transposedConvolution(2);
/** Transposed convolution: x [n, c, d, h, w], weight [c, out / groups, kd, kh, kw], bias [out] -> [n, out, d', h', w']. */
export const convTranspose3d = transposedConvolution(3);
