import { concat, interpolate, ManabiError, type Tensor } from "../index.ts";

/**
 * Position embeddings [1, 1 + g^2, width] of a square grid for another number of patches per side, the class token's kept:
 * bicubic, corners on corners, as torchvision's `interpolate_embeddings` has it (Dosovitskiy et al. 2020, 3.2).
 */
export function resizePositions(embedding: Tensor, side: number): Tensor {
  const [one, tokens, width] = embedding.shape;
  const grid = Math.round(Math.sqrt(tokens - 1));
  if (one !== 1 || grid ** 2 !== tokens - 1)
    throw new ManabiError(
      `resizePositions: [${embedding.shape}] are not the positions of a class token and a square grid`,
    );
  if (grid === side) return embedding;
  const pixels = embedding.slice(1, 1, tokens).transpose(1, 2).reshape([1, width, grid, grid]);
  const resized = interpolate(pixels, { size: side, mode: "bicubic", alignCorners: true });
  return concat([embedding.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)], 1);
}
