import type { Layout } from "./layout.ts";

/** timm writes the hidden layers of the classifier as convolutions of 7x7 and 1x1. */
export const layouts: readonly Layout[] = [
  {
    library: "timm",
    renames: [
      [/^classifier\.0\./, "pre_logits.fc1."],
      [/^classifier\.3\./, "pre_logits.fc2."],
      [/^classifier\.6\./, "head.fc."],
    ],
    reshaped: /^classifier\.[03]\.weight$/,
  },
];
