/** How much each pixel of an image matters, rows from the top. Positive speaks for what is explained, negative against. */
export interface Heatmap {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly data: Float32Array<ArrayBuffer>;
}

/** A heat map of another size by bilinear interpolation between the centres of its pixels, as `align_corners=False`. */
export function resizeHeatmap(map: Heatmap, width: number, height: number): Heatmap {
  if (map.width === width && map.height === height) return map;
  const [across, down] = [samplePoints(map.width, width), samplePoints(map.height, height)];
  const data = new Float32Array(width * height);
  for (const [y, [top, bottom, dy]] of down.entries())
    for (const [x, [left, right, dx]] of across.entries()) {
      const row = (r: number) => (1 - dx) * map.data[r * map.width + left] + dx * map.data[r * map.width + right];
      data[y * width + x] = (1 - dy) * row(top) + dy * row(bottom);
    }
  return { width, height, data };
}

/** For each of `to` pixels the two of `from` pixels it lies between and how far it is on the way to the second. */
function samplePoints(from: number, to: number): [before: number, after: number, share: number][] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const before = Math.floor(at);
    return [before, Math.min(from - 1, before + 1), at - before];
  });
}
