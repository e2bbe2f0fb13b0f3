/** Pictures of MNIST: 28 x 28, the digit in a square of 20 with its centre of mass in the middle (LeCun et al. 1998). */
const side = 28;
const box = 20;

/**
 * A drawing as a picture of MNIST has it. `ink` holds side * side values from 0 (none) to 255; the result 28 x 28 of the
 * same, or null where nothing is drawn.
 */
export function toDigit(ink: ArrayLike<number>, inkSide: number): Uint8Array<ArrayBuffer> | null {
  let [left, right, top, bottom] = [inkSide, -1, inkSide, -1];
  let [mass, cx, cy] = [0, 0, 0];
  for (let y = 0; y < inkSide; y++)
    for (let x = 0; x < inkSide; x++) {
      const value = ink[y * inkSide + x];
      if (value === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      mass += value;
      cx += value * (x + 0.5);
      cy += value * (y + 0.5);
    }
  if (mass === 0) return null;
  // Pixels of the drawing per pixel of the picture.
  const scale = Math.max(right - left + 1, bottom - top + 1) / box;
  const [x0, y0] = [cx / mass - (side / 2) * scale, cy / mass - (side / 2) * scale];
  return Uint8Array.from({ length: side * side }, (_, i) =>
    Math.round(meanInk(ink, inkSide, x0 + (i % side) * scale, y0 + Math.floor(i / side) * scale, scale)),
  );
}

/** Samples along each side of a square. */
const samples = 4;

/** The mean of a square of the drawing, nothing outside of it. */
function meanInk(ink: ArrayLike<number>, inkSide: number, x0: number, y0: number, size: number): number {
  let sum = 0;
  for (let j = 0; j < samples; j++)
    for (let i = 0; i < samples; i++) {
      const x = Math.floor(x0 + ((i + 0.5) / samples) * size);
      const y = Math.floor(y0 + ((j + 0.5) / samples) * size);
      if (x >= 0 && y >= 0 && x < inkSide && y < inkSide) sum += ink[y * inkSide + x];
    }
  return sum / samples ** 2;
}
