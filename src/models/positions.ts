import { concat, interpolate, ManabiError, type Shape, type Tensor } from "../index.ts";

/** The key of a ViT's position embeddings. */
export const positionsKey = "encoder.pos_embedding";

/** Patches per side of the square grid behind a class token; null where the shape is another. */
export function gridSide(shape: Shape): number | null {
  const [one, tokens] = shape;
  const side = Math.round(Math.sqrt(tokens - 1));
  return shape.length === 3 && one === 1 && side ** 2 === tokens - 1 ? side : null;
}

/**
 * Position embeddings [1, 1 + g^2, width] of a square grid for another number of patches per side, the class token's kept:
 * bicubic, corners on corners, as torchvision's `interpolate_embeddings` has it (Dosovitskiy et al. 2020, 3.2).
 */
export function resizePositions(embedding: Tensor, side: number): Tensor {
  const [, tokens, width] = embedding.shape;
  const grid = gridSide(embedding.shape);
  if (grid === null)
    throw new ManabiError(
      `resizePositions: [${embedding.shape}] are not the positions of a class token and a square grid`,
    );
  if (grid === side) return embedding;
  const pixels = embedding.slice(1, 1, tokens).transpose(1, 2).reshape([1, width, grid, grid]);
  const resized = interpolate(pixels, { size: side, mode: "bicubic", alignCorners: true });
  return concat([embedding.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)], 1);
}
