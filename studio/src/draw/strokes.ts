/** Places on a square of `paper` x `paper`. */
export type Stroke = [x: number, y: number][];

export const paper = 280;
const penWidth = 22;

/** Draws strokes with a round pen. */
export function drawStrokes(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  strokes: readonly Stroke[],
): void {
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = penWidth;
  for (const stroke of strokes) {
    context.beginPath();
    const [[x, y], ...rest] = stroke;
    context.moveTo(x, y);
    // A tap is a dot: a line to where it is.
    for (const [px, py] of rest.length ? rest : [[x, y + 0.01]]) context.lineTo(px, py);
    context.stroke();
  }
}

const scratch = new OffscreenCanvas(paper, paper).getContext("2d", { willReadFrequently: true });

/** How much ink lies on each pixel of the paper, 0 to 255. */
export function inkOf(strokes: readonly Stroke[]): Uint8Array {
  if (!scratch) throw new Error("this browser has no canvas to draw on");
  scratch.clearRect(0, 0, paper, paper);
  drawStrokes(scratch, strokes);
  const { data } = scratch.getImageData(0, 0, paper, paper);
  return Uint8Array.from({ length: paper * paper }, (_, i) => data[4 * i + 3]);
}
