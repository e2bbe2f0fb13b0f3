/** A transform of a whole batch of images f32 [b, c, h, w] and labels, as plain data. */
export type BatchTransform =
  | ReturnType<typeof mixup | typeof cutmix>
  | { readonly op: "oneOf"; readonly choices: readonly BatchTransform[] };

/** Every image blended with another by a Beta(alpha, alpha) share (Zhang et al. 2017); labels become f32 [b, classes]. */
export const mixup = (alpha = 1) => ({ op: "mixup", alpha }) as const;

/** A rectangle of every image taken from another (Yun et al. 2019); labels become f32 [b, classes]. */
export const cutmix = (alpha = 1) => ({ op: "cutmix", alpha }) as const;

/** One of `choices` for each batch, all equally likely. */
export const oneOf = (...choices: readonly BatchTransform[]) => ({ op: "oneOf", choices }) as const;
