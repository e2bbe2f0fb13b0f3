import { stages } from "../mobilenet-v2.ts";
import type { Layout } from "./layout.ts";

/** Stage and block in it, "s.b", of each of the blocks in a row. */
const places = stages.flatMap(({ blocks }, s) => Array.from({ length: blocks }, (_, b) => `${s}.${b}`));

const timm: Layout = {
  library: "timm",
  renames: [
    [/^features\.0\.0\./, "conv_stem."],
    [/^features\.0\.1\./, "bn1."],
    [/^features\.18\.0\./, "conv_head."],
    [/^features\.18\.1\./, "bn2."],
    // The first block has no expansion.
    [/^features\.1\.conv\.0\.0\./, "features.1.conv_dw."],
    [/^features\.1\.conv\.0\.1\./, "features.1.bn1."],
    [/^features\.1\.conv\.1\./, "features.1.conv_pw."],
    [/^features\.1\.conv\.2\./, "features.1.bn2."],
    [/\.conv\.0\.0\./, ".conv_pw."],
    [/\.conv\.0\.1\./, ".bn1."],
    [/\.conv\.1\.0\./, ".conv_dw."],
    [/\.conv\.1\.1\./, ".bn2."],
    [/\.conv\.2\./, ".conv_pwl."],
    [/\.conv\.3\./, ".bn3."],
    [/^features\.(\d+)\./, (_, i) => `blocks.${places[Number(i) - 1]}.`],
    [/^classifier\.1\./, "classifier."],
  ],
};

const transformers: Layout = {
  library: "transformers",
  renames: [
    [/^features\.0\.0\./, "conv_stem.first_conv.convolution."],
    [/^features\.0\.1\./, "conv_stem.first_conv.normalization."],
    [/^features\.18\.0\./, "conv_1x1.convolution."],
    [/^features\.18\.1\./, "conv_1x1.normalization."],
    [/^features\.1\.conv\.0\.0\./, "conv_stem.conv_3x3.convolution."],
    [/^features\.1\.conv\.0\.1\./, "conv_stem.conv_3x3.normalization."],
    [/^features\.1\.conv\.1\./, "conv_stem.reduce_1x1.convolution."],
    [/^features\.1\.conv\.2\./, "conv_stem.reduce_1x1.normalization."],
    [/\.conv\.0\.0\./, ".expand_1x1.convolution."],
    [/\.conv\.0\.1\./, ".expand_1x1.normalization."],
    [/\.conv\.1\.0\./, ".conv_3x3.convolution."],
    [/\.conv\.1\.1\./, ".conv_3x3.normalization."],
    [/\.conv\.2\./, ".reduce_1x1.convolution."],
    [/\.conv\.3\./, ".reduce_1x1.normalization."],
    [/^features\.(\d+)\./, (_, i) => `layer.${Number(i) - 2}.`],
    [/^(?!classifier)/, "mobilenet_v2."],
    [/^classifier\.1\./, "classifier."],
  ],
  // The weights are TensorFlow's.
  options: () => ({ padding: "same", normEps: 1e-3, normMomentum: 0.003 }),
};

export const layouts: readonly Layout[] = [timm, transformers];
