import {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  batchNorm,
  type ConvOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  groupNorm,
  instanceNorm,
  interpolate,
  layerNorm,
  logSoftmax,
  ManabiError,
  matmul,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  onesLike,
  rmsNorm,
  softmax,
  type Tensor,
} from "../../index.ts";
import { type Call, need, numbers, type Operator } from "../operator.ts";

type Pairs = readonly (readonly [low: number, high: number])[];

/** Strides, dilations and padding of a window over x [n, c, s..]; `auto_pad` is worked out. */
function geometry({ what, attrs }: Call, x: Tensor, kernel: readonly number[]) {
  if (x.rank < 3 || x.rank > 5) throw new ManabiError(`${what}: x has rank ${x.rank}; 3 to 5 are supported`);
  const stride = attrs.ints("strides") ?? kernel.map(() => 1);
  const dilation = attrs.ints("dilations") ?? kernel.map(() => 1);
  const auto = attrs.text("auto_pad", "NOTSET");
  attrs.only("auto_pad", auto, ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]);
  const given = attrs.ints("pads") ?? kernel.flatMap(() => [0, 0]);
  const padding: Pairs = kernel.map((k, i) => {
    if (auto === "VALID") return [0, 0];
    if (auto === "NOTSET") return [given[i], given[i + kernel.length]];
    const [d, span] = [x.shape[i + 2], (k - 1) * dilation[i] + 1];
    const total = Math.max(0, (Math.ceil(d / stride[i]) - 1) * stride[i] + span - d);
    const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return auto === "SAME_UPPER" ? [less, more] : [more, less];
  });
  return { stride, dilation, padding };
}

const convolutions = [conv1d, conv2d, conv3d];
const transposed = [convTranspose1d, convTranspose2d, convTranspose3d];
const maxPools = [maxPool1d, maxPool2d, maxPool3d];
const averages = [avgPool1d, avgPool2d, avgPool3d];

function conv(call: Call): Tensor {
  const [x, weight] = [need(call, 0), need(call, 1)];
  const options: ConvOptions = { ...geometry(call, x, weight.shape.slice(2)), groups: call.attrs.int("group", 1) };
  return convolutions[x.rank - 3](x, weight, call.inputs[2] ?? null, options);
}

function convTranspose(call: Call): Tensor {
  const [x, weight] = [need(call, 0), need(call, 1)];
  const { attrs, what } = call;
  if (attrs.has("output_shape")) throw new ManabiError(`${what}: output_shape is not supported; give pads`);
  attrs.only("auto_pad", attrs.text("auto_pad", "NOTSET"), ["NOTSET", "VALID"]);
  const { stride, dilation, padding } = geometry(call, x, weight.shape.slice(2));
  const outputPadding = attrs.ints("output_padding") ?? stride.map(() => 0);
  // Cropped in the two directions apart, since they may differ.
  const groups = attrs.int("group", 1);
  const whole = transposed[x.rank - 3](x, weight, call.inputs[2] ?? null, { stride, dilation, groups, outputPadding });
  return padding.reduce((y, [low, high], i) => y.slice(i + 2, low, y.shape[i + 2] - high), whole);
}

const isSymmetric = (padding: Pairs): boolean => padding.every(([low, high]) => low === high);

function maxPool(call: Call): Tensor {
  const x = need(call, 0);
  const kernel = call.attrs.ints("kernel_shape") ?? [];
  if (call.outputs.length > 1) throw new ManabiError(`${call.what}: its second output, Indices, is not supported`);
  const { stride, dilation, padding } = geometry(call, x, kernel);
  const ceilMode = call.attrs.int("ceil_mode", 0) === 1;
  const pool = maxPools[x.rank - 3];
  if (isSymmetric(padding) && padding.every(([p], i) => 2 * p <= kernel[i]))
    return pool(x, kernel, { stride, dilation, ceilMode, padding: padding.map(([p]) => p) });
  return pool(x.pad(padding, Number.NEGATIVE_INFINITY), kernel, { stride, dilation, ceilMode });
}

function averagePool(call: Call): Tensor {
  const x = need(call, 0);
  const kernel = call.attrs.ints("kernel_shape") ?? [];
  const { stride, dilation, padding } = geometry(call, x, kernel);
  if (dilation.some((d) => d !== 1)) throw new ManabiError(`${call.what}: dilations are not supported`);
  const ceilMode = call.attrs.int("ceil_mode", 0) === 1;
  const countIncludePad = call.attrs.int("count_include_pad", 0) === 1;
  const pool = averages[x.rank - 3];
  if (isSymmetric(padding) && padding.every(([p], i) => 2 * p <= kernel[i]))
    return pool(x, kernel, { stride, ceilMode, countIncludePad, padding: padding.map(([p]) => p) });
  const mean = (y: Tensor) => pool(y.pad(padding), kernel, { stride, ceilMode });
  return countIncludePad ? mean(x) : mean(x).div(mean(onesLike(x)));
}

function gemm(call: Call): Tensor {
  const { attrs } = call;
  const side = (i: number, transpose: string) => (attrs.int(transpose, 0) ? need(call, i).transpose() : need(call, i));
  const scaled = (x: Tensor, by: number) => (by === 1 ? x : x.mul(by));
  const product = scaled(matmul(side(0, "transA"), side(1, "transB")), attrs.float("alpha", 1));
  const added = call.inputs[2];
  return added ? product.add(scaled(added, attrs.float("beta", 1))) : product;
}

function batchNormalization(call: Call): Tensor {
  call.attrs.only("training_mode", call.attrs.int("training_mode", 0), [0]);
  const [x, weight, bias, mean, variance] = [0, 1, 2, 3, 4].map((i) => need(call, i));
  return batchNorm(x, { weight, bias, moments: { mean, variance }, eps: call.attrs.float("epsilon", 1e-5) });
}

function layerNormalization(call: Call): Tensor {
  const [x, weight] = [need(call, 0), need(call, 1)];
  if (call.outputs.length > 1) throw new ManabiError(`${call.what}: its outputs beyond the first are not supported`);
  const axis = call.attrs.int("axis", -1);
  const shape = x.shape.slice(axis < 0 ? axis + x.rank : axis);
  const flat = (t: Tensor | null | undefined) => t?.broadcastTo(shape);
  return layerNorm(x, shape, {
    weight: flat(weight),
    bias: flat(call.inputs[2]),
    eps: call.attrs.float("epsilon", 1e-5),
  });
}

function groupNormalization(call: Call): Tensor {
  const [x, weight, bias] = [0, 1, 2].map((i) => need(call, i));
  const groups = call.attrs.int("num_groups", 1);
  // Before operator set 21 there is one factor per group.
  const perChannel = (t: Tensor) =>
    t.size === x.shape[1]
      ? t
      : t
          .reshape([groups, 1])
          .broadcastTo([groups, x.shape[1] / groups])
          .reshape([-1]);
  const eps = call.attrs.float("epsilon", 1e-5);
  return groupNorm(x, groups, { weight: perChannel(weight), bias: perChannel(bias), eps });
}

/** Over an axis; before operator set 13, over that axis and all behind it. */
const normalized =
  (fn: typeof softmax): Operator =>
  (call) => {
    const x = need(call, 0);
    if (call.opset >= 13) return fn(x, call.attrs.int("axis", -1));
    const axis = call.attrs.int("axis", 1);
    const at = axis < 0 ? axis + x.rank : axis;
    return at === x.rank - 1 ? fn(x, at) : fn(x.flatten(at), at).reshape(x.shape);
  };

const spatialAxes = (x: Tensor): number[] => x.shape.slice(2).map((_, i) => i + 2);

/** The extents that Resize asks for, or the factors: the geometry follows from what is given. */
function target(call: Call, x: Tensor) {
  // Upsample and Resize 10 have the scales where later sets have the region of interest.
  const given = [call.inputs[call.opset >= 11 ? 2 : 1], call.inputs[3]].map((t) => (t ? numbers(call, t) : []));
  const [scales, extents] = given;
  const factors = extents.length ? extents.map((d, i) => d / x.shape[i]) : scales;
  if (factors.length !== x.rank || factors[0] !== 1 || factors[1] !== 1)
    throw new ManabiError(`${call.what}: only spatial axes can be resized, got factors [${factors}]`);
  return extents.length ? { size: extents.slice(2) } : { scaleFactor: scales.slice(2) };
}

/** Resizes with the geometry of PyTorch, in which exporters write it. */
function resize(call: Call): Tensor {
  const x = need(call, 0);
  const { attrs, opset } = call;
  const options = target(call, x);
  const mode = attrs.text("mode", "nearest");
  attrs.only("mode", mode, ["nearest", "linear", "cubic"]);
  const place = attrs.text("coordinate_transformation_mode", opset >= 11 ? "half_pixel" : "asymmetric");
  if (mode === "nearest") {
    attrs.only("coordinate_transformation_mode", place, ["asymmetric"]);
    attrs.only("nearest_mode", attrs.text("nearest_mode", opset >= 11 ? "round_prefer_floor" : "floor"), ["floor"]);
    return interpolate(x, { ...options, mode });
  }
  const alignCorners = place === "align_corners";
  // Fractional sizes between corners, and single pixels, are placed otherwise than in PyTorch.
  const whole = options.size ?? x.shape.slice(2).map((d, i) => d * options.scaleFactor[i]);
  const allowed = whole.every((d) => d > 1 && Number.isInteger(d))
    ? ["half_pixel", "pytorch_half_pixel", "align_corners"]
    : ["half_pixel"];
  attrs.only("coordinate_transformation_mode", place, allowed);
  attrs.only("antialias", attrs.int("antialias", 0), [0]);
  attrs.only("exclude_outside", attrs.int("exclude_outside", 0), [0]);
  if (mode === "cubic") attrs.only("cubic_coeff_a", attrs.float("cubic_coeff_a", -0.75), [-0.75]);
  const linear = (["linear", "bilinear", "trilinear"] as const)[x.rank - 3];
  return interpolate(x, { ...options, mode: mode === "cubic" ? "bicubic" : linear, alignCorners });
}

export const network: Readonly<Record<string, Operator>> = {
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Conv: conv,
  ConvTranspose: convTranspose,
  Dropout(call) {
    if (call.outputs.length > 1) throw new ManabiError(`${call.what}: its second output, mask, is not supported`);
    const [training] = call.inputs[2] ? numbers(call, call.inputs[2]) : [0];
    call.attrs.only("training_mode", training, [0]);
    return need(call, 0);
  },
  Gemm: gemm,
  GlobalAveragePool: (call) => need(call, 0).mean(spatialAxes(need(call, 0)), { keepDims: true }),
  GlobalMaxPool: (call) => need(call, 0).max(spatialAxes(need(call, 0)), { keepDims: true }),
  GroupNormalization: groupNormalization,
  InstanceNormalization: (call) =>
    instanceNorm(need(call, 0), { weight: need(call, 1), bias: need(call, 2), eps: call.attrs.float("epsilon", 1e-5) }),
  LayerNormalization: layerNormalization,
  LogSoftmax: normalized(logSoftmax),
  MatMul: (call) => matmul(need(call, 0), need(call, 1)),
  MaxPool: maxPool,
  RMSNormalization(call) {
    const x = need(call, 0);
    const axis = call.attrs.int("axis", -1);
    const shape = x.shape.slice(axis < 0 ? axis + x.rank : axis);
    return rmsNorm(x, shape, { weight: need(call, 1), eps: call.attrs.float("epsilon", 1e-5) });
  },
  Resize: resize,
  Softmax: normalized(softmax),
  Upsample: resize,
};
