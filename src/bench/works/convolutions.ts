import { Tensor } from "../../ops/tensor.ts";
import { type ConvAttrs, conv, convInputGrad, convWeightGrad } from "../../primitives/contract.ts";
import { inPlace, values, type Work } from "./work.ts";

type Shape = readonly [channelsIn: number, channelsOut: number, size: number, kernel: number, stride: number];

/** The distinct convolutions of ResNet-50 at 224. */
const resnet50: readonly Shape[] = [
  [3, 64, 224, 7, 2],
  [64, 64, 56, 1, 1],
  [64, 64, 56, 3, 1],
  [64, 256, 56, 1, 1],
  [256, 64, 56, 1, 1],
  [256, 128, 56, 1, 1],
  [128, 128, 56, 3, 2],
  [256, 512, 56, 1, 2],
  [128, 512, 28, 1, 1],
  [512, 128, 28, 1, 1],
  [128, 128, 28, 3, 1],
  [512, 256, 28, 1, 1],
  [256, 256, 28, 3, 2],
  [512, 1024, 28, 1, 2],
  [256, 1024, 14, 1, 1],
  [1024, 256, 14, 1, 1],
  [256, 256, 14, 3, 1],
  [1024, 512, 14, 1, 1],
  [512, 512, 14, 3, 2],
  [1024, 2048, 14, 1, 2],
  [512, 2048, 7, 1, 1],
  [2048, 512, 7, 1, 1],
  [512, 512, 7, 3, 1],
];

/** The distinct depthwise convolutions of EfficientNet-B0 at 224 (Tan and Le 2019, table 1). */
const efficientnetB0: readonly Shape[] = (
  [
    [32, 112, 3, 1],
    [96, 112, 3, 2],
    [144, 56, 3, 1],
    [144, 56, 5, 2],
    [240, 28, 5, 1],
    [240, 28, 3, 2],
    [480, 14, 3, 1],
    [480, 14, 5, 1],
    [672, 14, 5, 1],
    [672, 14, 5, 2],
    [1152, 7, 5, 1],
    [1152, 7, 3, 1],
  ] as const
).map(([channels, size, kernel, stride]) => [channels, channels, size, kernel, stride]);

const batch = 8;

/** The three members of the convolution triple by themselves, which the public API has only through gradients. */
const members: Record<string, (shape: Shape, attrs: ConvAttrs) => () => void> = {
  forward: (shape, attrs) =>
    inPlace((x, w) => new Tensor(conv(x.node, w.node, attrs)), images(shape), weights(shape, attrs)),
  inputGrad: (shape, attrs) => {
    const spatial = [shape[2], shape[2]];
    return inPlace(
      (y, w) => new Tensor(convInputGrad(y.node, w.node, { ...attrs, spatial })),
      outputs(shape),
      weights(shape, attrs),
    );
  },
  weightGrad: (shape, attrs) => {
    const kernel = [shape[3], shape[3]];
    return inPlace(
      (x, y) => new Tensor(convWeightGrad(x.node, y.node, { ...attrs, kernel })),
      images(shape),
      outputs(shape),
    );
  },
};

const images = ([c, , size]: Shape): Tensor => values([batch, c, size, size]);
const weights = ([c, o, , kernel]: Shape, { groups }: ConvAttrs): Tensor => values([o, c / groups, kernel, kernel], 2);
const outputs = (shape: Shape): Tensor => values([batch, shape[1], outSize(shape), outSize(shape)], 3);
const outSize = ([, , size, kernel, stride]: Shape): number =>
  Math.floor((size + 2 * (kernel >> 1) - kernel) / stride) + 1;

const works = (group: "conv" | "depthwise", shapes: readonly Shape[]): Work[] =>
  shapes.flatMap((shape) => {
    const [c, o, size, kernel, stride] = shape;
    const [padding, groups] = [kernel >> 1, group === "depthwise" ? c : 1];
    const pads = [padding, padding] as const;
    const attrs = { stride: [stride, stride], padding: [pads, pads], dilation: [1, 1], groups };
    return Object.entries(members).map(([mode, prepare]) => ({
      group,
      measure: "seconds",
      name: `${group} ${group === "depthwise" ? c : `${c}-${o}`} ${size} ${kernel}x${kernel}/${stride} ${mode}`,
      request: { case: "conv", mode, n: batch, c, o, size, kernel, stride, padding, groups },
      flops: (2 * batch * o * outSize(shape) ** 2 * c * kernel * kernel) / groups,
      prepare: async () => prepare(shape, attrs),
    }));
  });

export const convolutions: readonly Work[] = [...works("conv", resnet50), ...works("depthwise", efficientnetB0)];
