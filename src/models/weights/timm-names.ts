import type { ModelOptions } from "../options.ts";

interface Named {
  readonly model: string;
  readonly options: ModelOptions;
}

const sizes: Readonly<Record<string, string>> = { tiny: "ti", small: "s", base: "b", large: "l", huge: "h" };

/** Architectures of timm whose names are not ours. */
const rules: readonly (readonly [RegExp, (...groups: string[]) => Named])[] = [
  [
    /^vit_(tiny|small|base|large|huge)_patch(\d+)_(\d+)$/,
    (size, patch, image) => {
      const patchSize = size === "huge" ? 14 : size === "tiny" || size === "small" || patch !== "32" ? 16 : 32;
      const options = { imageSize: Number(image), patchSize: Number(patch) };
      return { model: `vit_${sizes[size]}_${patchSize}`, options };
    },
  ],
  [
    /^(vit_(?:tiny_r_s16_p8|small_r26_s32|base_r50_s16|large_r50_s32))_(\d+)$/,
    (name, image) => ({ model: `${name}_224`, options: { imageSize: Number(image) } }),
  ],
  [/^mobilenetv2_(\d{3})$/, (percent) => ({ model: "mobilenet_v2", options: { width: Number(percent) / 100 } })],
];

/** The model that an architecture of timm is among ours; its own name where there is no rule for it. */
export function modelOfTimm(architecture: string): Named {
  for (const [pattern, named] of rules) {
    const match = pattern.exec(architecture);
    if (match) return named(...match.slice(1));
  }
  return { model: architecture, options: {} };
}
