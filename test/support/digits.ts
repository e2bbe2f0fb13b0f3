/** Handwriting for tests: digits of a seven-segment display, shifted, slanted and of varying width. */
import { Rng, seedKey } from "../../src/core/rng.ts";
import { toDigit } from "../../studio/src/draw/digit.ts";

type Place = readonly [x: number, y: number];
type Segment = readonly [from: Place, to: Place];

const [topLeft, topRight]: Place[] = [
  [0.3, 0.2],
  [0.7, 0.2],
];
const [left, right]: Place[] = [
  [0.3, 0.5],
  [0.7, 0.5],
];
const [bottomLeft, bottomRight]: Place[] = [
  [0.3, 0.8],
  [0.7, 0.8],
];
const segments: Readonly<Record<string, Segment>> = {
  a: [topLeft, topRight],
  b: [topRight, right],
  c: [right, bottomRight],
  d: [bottomLeft, bottomRight],
  e: [left, bottomLeft],
  f: [topLeft, left],
  g: [left, right],
};
const lit = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"];

/** The strokes of a digit in a square of side 1. */
export const strokesOf = (digit: number): readonly Segment[] => Array.from(lit[digit], (name) => segments[name]);

const inkSide = 112;

/** A picture of a digit, 28 x 28, as the studio makes it of a drawing. */
function picture(digit: number, rng: Rng): Uint8Array {
  const [slant, width] = [rng.uniform(-0.15, 0.15), rng.uniform(0.03, 0.05)];
  const strokes = strokesOf(digit).map((segment) => segment.map(([x, y]): Place => [x + slant * (y - 0.5), y]));
  const ink = Uint8Array.from({ length: inkSide ** 2 }, (_, i) => {
    const at: Place = [((i % inkSide) + 0.5) / inkSide, (Math.floor(i / inkSide) + 0.5) / inkSide];
    return strokes.some(([from, to]) => distance(at, from, to) < width) ? 255 : 0;
  });
  return toDigit(ink, inkSide) as Uint8Array;
}

function distance([x, y]: Place, [x0, y0]: Place, [x1, y1]: Place): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const t = Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0), 1);
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

/** `count` pictures with their labels, as many of each digit. */
export function digitPictures(count: number, seed: number): { images: Uint8Array[]; labels: Uint8Array } {
  const rng = new Rng(seedKey(seed));
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  return { images: Array.from(labels, (label) => picture(label, rng)), labels };
}
