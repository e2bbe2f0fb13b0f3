import type { Layout } from "./layout.ts";

/** timm has torchvision's names. */
export const layouts: readonly Layout[] = [
  {
    library: "transformers",
    renames: [
      [/^(conv|bn)1\./, (_, kind) => `resnet.embedder.embedder.${part(kind)}.`],
      [/^layer(\d)\.(\d+)\./, (_, stage, block) => `resnet.encoder.stages.${Number(stage) - 1}.layers.${block}.`],
      [/\.downsample\.0\./, ".shortcut.convolution."],
      [/\.downsample\.1\./, ".shortcut.normalization."],
      [/\.(conv|bn)([123])\./, (_, kind, n) => `.layer.${Number(n) - 1}.${part(kind)}.`],
      [/^fc\./, "classifier.1."],
    ],
  },
];

const part = (kind: string): string => (kind === "conv" ? "convolution" : "normalization");
