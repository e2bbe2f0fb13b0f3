/** Convolution, pooling, interpolation and padding modes against PyTorch. */
import * as m from "../../src/index.ts";
import { type Call, callBy, testFamily } from "./cases.ts";

type Conv = typeof m.conv2d;
type ConvTranspose = typeof m.convTranspose2d;
type MaxPool = typeof m.maxPool2dWithIndices;
type AvgPool = typeof m.avgPool2d;
type AdaptiveAvgPool = typeof m.adaptiveAvgPool2d;
type AdaptiveMaxPool = typeof m.adaptiveMaxPool2dWithIndices;

interface Kernel {
  readonly kernelSize: m.PerAxis;
}
interface Output {
  readonly outputSize: number | readonly number[];
}
type Pair = readonly [number, number];

const conv =
  (fn: Conv): Call =>
  ({ x, weight, bias = null }, options: m.ConvOptions) =>
    fn(x, weight, bias, options);
const convTranspose =
  (fn: ConvTranspose): Call =>
  ({ x, weight, bias = null }, options: m.ConvTransposeOptions) =>
    fn(x, weight, bias, options);
const maxPool =
  (fn: MaxPool): Call =>
  ({ x }, { kernelSize, ...options }: Kernel & m.MaxPoolOptions) =>
    fn(x, kernelSize, options);
const maxUnpool =
  (pool: MaxPool, unpool: typeof m.maxUnpool2d): Call =>
  ({ x }, { kernelSize, ...options }: Kernel & m.MaxPoolOptions) => {
    const [y, indices] = pool(x, kernelSize, options);
    return unpool(y.square(), indices, kernelSize, { ...options, outputSize: x.shape.slice(2) });
  };
const avgPool =
  (fn: AvgPool): Call =>
  ({ x }, { kernelSize, ...options }: Kernel & m.AvgPoolOptions) =>
    fn(x, kernelSize, options);
const adaptiveAvgPool =
  (fn: AdaptiveAvgPool): Call =>
  ({ x }, { outputSize }: Output) =>
    fn(x, outputSize);
const adaptiveMaxPool =
  (fn: AdaptiveMaxPool): Call =>
  ({ x }, { outputSize }: Output) =>
    fn(x, outputSize);

const table: Record<string, Call> = {
  conv1d: conv(m.conv1d),
  conv2d: conv(m.conv2d),
  conv3d: conv(m.conv3d),
  padConv2d: ({ x, weight }, { pads, stride }: { pads: Pair[]; stride: number }) =>
    m.conv2d(x, weight, null, { stride, padding: pads.slice(2) }),
  convTranspose1d: convTranspose(m.convTranspose1d),
  convTranspose2d: convTranspose(m.convTranspose2d),
  convTranspose3d: convTranspose(m.convTranspose3d),
  maxPool1d: maxPool(m.maxPool1dWithIndices),
  maxPool2d: maxPool(m.maxPool2dWithIndices),
  maxPool3d: maxPool(m.maxPool3dWithIndices),
  maxUnpool1d: maxUnpool(m.maxPool1dWithIndices, m.maxUnpool1d),
  maxUnpool2d: maxUnpool(m.maxPool2dWithIndices, m.maxUnpool2d),
  maxUnpool3d: maxUnpool(m.maxPool3dWithIndices, m.maxUnpool3d),
  avgPool1d: avgPool(m.avgPool1d),
  avgPool2d: avgPool(m.avgPool2d),
  avgPool3d: avgPool(m.avgPool3d),
  adaptiveAvgPool1d: adaptiveAvgPool(m.adaptiveAvgPool1d),
  adaptiveAvgPool2d: adaptiveAvgPool(m.adaptiveAvgPool2d),
  adaptiveAvgPool3d: adaptiveAvgPool(m.adaptiveAvgPool3d),
  adaptiveMaxPool1d: adaptiveMaxPool(m.adaptiveMaxPool1dWithIndices),
  adaptiveMaxPool2d: adaptiveMaxPool(m.adaptiveMaxPool2dWithIndices),
  interpolate: ({ x }, options: m.InterpolateOptions) => m.interpolate(x, options),
  padMode: ({ x }, { pads, mode }: { pads: Pair[]; mode: m.PadMode }) => m.pad(x, pads, { mode }),
};

await testFamily("spatial", callBy(table));
