import type { Layout, Rename } from "./layout.ts";

/** The blocks of the first stage begin with the depthwise convolution, the others with an expansion. timm numbers the
 *  normalizations of each. */
const timmBlock: readonly Rename[] = [
  [/^(features\.1\.\d+)\.block\.0\.0\./, "$1.conv_dw."],
  [/^(features\.1\.\d+)\.block\.0\.1\./, "$1.bn1."],
  [/^(features\.1\.\d+)\.block\.1\./, "$1.se."],
  [/^(features\.1\.\d+)\.block\.2\.0\./, "$1.conv_pw."],
  [/^(features\.1\.\d+)\.block\.2\.1\./, "$1.bn2."],
  [/\.block\.0\.0\./, ".conv_pw."],
  [/\.block\.0\.1\./, ".bn1."],
  [/\.block\.1\.0\./, ".conv_dw."],
  [/\.block\.1\.1\./, ".bn2."],
  [/\.block\.2\./, ".se."],
  [/\.block\.3\.0\./, ".conv_pwl."],
  [/\.block\.3\.1\./, ".bn3."],
];

const timm: Layout = {
  library: "timm",
  renames: [
    [/^features\.0\.0\./, "conv_stem."],
    [/^features\.0\.1\./, "bn1."],
    [/^features\.8\.0\./, "conv_head."],
    [/^features\.8\.1\./, "bn2."],
    ...timmBlock,
    [/\.se\.fc1\./, ".se.conv_reduce."],
    [/\.se\.fc2\./, ".se.conv_expand."],
    [/^features\.(\d)\./, (_, stage) => `blocks.${Number(stage) - 1}.`],
    [/^classifier\.1\./, "classifier."],
  ],
  // Its networks with torchvision's names normalize alike from B0 to B7; those of TensorFlow have names of their own.
  options: (model) => (model.startsWith("tf_") ? {} : { normEps: 1e-5, normMomentum: 0.1 }),
};

const transformers: Layout = {
  library: "transformers",
  renames: [
    [/^features\.0\.0\./, "efficientnet.embeddings.convolution."],
    [/^features\.0\.1\./, "efficientnet.embeddings.batchnorm."],
    [/^features\.8\.0\./, "efficientnet.encoder.top_conv."],
    [/^features\.8\.1\./, "efficientnet.encoder.top_bn."],
    // Without an expansion everything comes one place earlier.
    [/^(features\.1\.\d+\.block)\.(\d)\./, (_, block, i) => `${block}.${Number(i) + 1}.`],
    [/\.block\.0\.0\./, ".expansion.expand_conv."],
    [/\.block\.0\.1\./, ".expansion.expand_bn."],
    [/\.block\.1\.0\./, ".depthwise_conv.depthwise_conv."],
    [/\.block\.1\.1\./, ".depthwise_conv.depthwise_norm."],
    [/\.block\.2\.fc1\./, ".squeeze_excite.reduce."],
    [/\.block\.2\.fc2\./, ".squeeze_excite.expand."],
    [/\.block\.3\.0\./, ".projection.project_conv."],
    [/\.block\.3\.1\./, ".projection.project_bn."],
    [/^features\.[1-7]\.\d+\./, "efficientnet.encoder.blocks.%."],
    [/^classifier\.1\./, "classifier."],
  ],
  // The weights are TensorFlow's.
  options: () => ({ padding: "same", normEps: 1e-3, normMomentum: 0.01 }),
};

export const layouts: readonly Layout[] = [timm, transformers];
