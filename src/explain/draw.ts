import { interpolateCividis, interpolatePuOr, interpolateViridis } from "d3-scale-chromatic";
import { ManabiError } from "../core/errors.ts";
import type { Picture } from "../train/report/png.ts";
import { type Heatmap, resizeHeatmap } from "./heatmap.ts";

/** Colour maps that readers with any colour vision can tell apart and that survive a black-and-white printer: the
 *  sequential ones grow lighter from end to end (viridis: Smith and van der Walt 2015; cividis: Nuñez et al. 2018), the
 *  diverging one is white in the middle and equally dark at both ends (ColorBrewer's PuOr). */
const interpolators = {
  viridis: interpolateViridis,
  cividis: interpolateCividis,
  "purple-orange": (t: number) => interpolatePuOr(0.1 + 0.8 * t), // its ends are nearly black
} as const;
export type ColourMap = keyof typeof interpolators;
export const colourMaps = Object.keys(interpolators) as readonly ColourMap[];

const levels = 256;
const tables = new Map<ColourMap, Uint8Array>();

/** The colours of a map at 256 even steps, [256, 3] RGB. */
export function colourTable(name: ColourMap): Uint8Array {
  const known = tables.get(name);
  if (known) return known;
  const table = new Uint8Array(levels * 3);
  for (let i = 0; i < levels; i++) table.set(readColour(interpolators[name](i / (levels - 1))), i * 3);
  tables.set(name, table);
  return table;
}

/** "#440154" or "rgb(68, 1, 84)" as three bytes. */
function readColour(text: string): number[] {
  const digits = /^#(..)(..)(..)$/.exec(text);
  return digits ? digits.slice(1).map((pair) => Number.parseInt(pair, 16)) : (text.match(/\d+/g) ?? []).map(Number);
}

/** A colour map as the value of a CSS background, from its low end to its high end. */
export function colourGradient(name: ColourMap): string {
  const stops = Array.from({ length: 9 }, (_, i) => interpolators[name](i / 8));
  return `linear-gradient(to right,${stops.join(",")})`;
}

export interface DrawOptions {
  /** Default: "purple-orange" (0 is white, against is purple, for is orange) where the map has negative values,
   *  otherwise "viridis" from 0. */
  readonly colours?: ColourMap;
  /** The value that gets the strongest colour. Default: that which 99 % of all values, without their signs, do not
   *  exceed, so that single pixels do not make the rest pale. */
  readonly limit?: number;
}

export interface OverlayOptions extends DrawOptions {
  /** How much of the strongest colour covers the picture, 0 to 1. Default 0.7. */
  readonly opacity?: number;
  /** Whether the picture keeps its own colours. Default false: it is drawn in grey, so that colour means the map alone. */
  readonly keepColours?: boolean;
}

/** The map that `draw` and `overlay` colour a heat map with where none is asked for. */
export const colourMapOf = (map: Heatmap): ColourMap =>
  map.data.some((value) => value < 0) ? "purple-orange" : "viridis";

/** A heat map in colours, RGB, a pixel per value. Throws where it holds NaN or infinity. */
export function drawHeatmap(map: Heatmap, options: DrawOptions = {}): Picture {
  const { table, levelOf } = colouring(map, options);
  const data = new Uint8Array(map.data.length * 3);
  for (const [p, value] of map.data.entries())
    data.set(table.subarray(levelOf(value) * 3, levelOf(value) * 3 + 3), p * 3);
  return { width: map.width, height: map.height, channels: 3, data };
}

/**
 * A heat map over the picture it explains, RGB, in the picture's size. A sequential map lies on all of it like a light on
 * what matters; of a diverging map only what speaks for or against is coloured.
 */
export function overlay(picture: Picture, heatmap: Heatmap, options: OverlayOptions = {}): Picture {
  const { opacity = 0.7, keepColours = false } = options;
  if (!(opacity >= 0 && opacity <= 1)) throw new ManabiError(`overlay: opacity is ${opacity}; it goes from 0 to 1`);
  const map = resizeHeatmap(heatmap, picture.width, picture.height);
  const { table, levelOf, strength } = colouring(map, options);
  const below = keepColours ? toRgb(picture) : toRgb(grey(picture));
  const data = new Uint8Array(below.data);
  for (const [p, value] of map.data.entries()) {
    const level = levelOf(value);
    const share = opacity * strength(value);
    for (let c = 0; c < 3; c++)
      data[p * 3 + c] = Math.round(share * table[level * 3 + c] + (1 - share) * below.data[p * 3 + c]);
  }
  return { ...below, data };
}

/** The lines between regions, such as superpixels, drawn on a picture: RGB of its size. `regions` names the region of
 *  each pixel, rows from the top. */
export function outline(
  picture: Picture,
  regions: ArrayLike<number>,
  colour: readonly [red: number, green: number, blue: number] = [255, 255, 255],
): Picture {
  const { width, height } = picture;
  if (regions.length !== width * height)
    throw new ManabiError(`outline: ${regions.length} regions do not fit a picture of ${width}x${height} pixels`);
  const { data, ...rest } = toRgb(picture);
  const drawn = new Uint8Array(data);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const p = y * width + x;
      const right = x + 1 < width && regions[p] !== regions[p + 1];
      const lower = y + 1 < height && regions[p] !== regions[p + width];
      if (right || lower) drawn.set(colour, p * 3);
    }
  return { ...rest, data: drawn };
}

/** The line around all that reaches `level`, a share of the map's highest value, drawn on a picture: RGB of its size. */
export function contour(
  picture: Picture,
  heatmap: Heatmap,
  level = 0.5,
  colour?: readonly [red: number, green: number, blue: number],
): Picture {
  const { data } = resizeHeatmap(heatmap, picture.width, picture.height);
  const bound = level * data.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return outline(
    picture,
    Uint8Array.from(data, (value) => Number(value >= bound)),
    colour,
  );
}

/** Which of the 256 colours a value has, and what share of the opacity it gets. */
function colouring(map: Heatmap, { colours = colourMapOf(map), limit = usualLimit(map) }: DrawOptions) {
  const { data } = map;
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new ManabiError(`draw: value ${bad} of the heat map is ${data[bad]}; only finite values have a colour`);
  const diverging = colours === "purple-orange";
  const scale = limit > 0 ? 1 / limit : 0;
  const levelOf = (value: number): number => {
    const t = diverging ? (value * scale + 1) / 2 : value * scale;
    return Math.round((levels - 1) * Math.min(1, Math.max(0, t)));
  };
  const strength = (value: number): number => (diverging ? Math.sqrt(Math.min(1, Math.abs(value * scale))) : 1);
  return { table: colourTable(colours), levelOf, strength };
}

const usualLimit = ({ data }: Heatmap): number => data.map(Math.abs).sort()[Math.ceil(0.99 * (data.length - 1))];

/** Brightness as the eye weighs red, green and blue (ITU-R BT.601). */
function grey({ data, channels, ...size }: Picture): Picture {
  if (channels === 1) return { ...size, channels, data };
  const values = Uint8Array.from({ length: size.width * size.height }, (_, p) => {
    const [r, g, b] = data.subarray(p * channels, p * channels + 3);
    return Math.round(0.299 * r + 0.587 * g + 0.114 * b);
  });
  return { ...size, channels: 1, data: values };
}

/** A picture in three channels; transparency is left out. */
function toRgb({ data, channels, ...size }: Picture): Picture {
  if (channels === 3) return { ...size, channels, data };
  const area = size.width * size.height;
  const rgb = new Uint8Array(area * 3);
  for (let p = 0; p < area; p++)
    for (let c = 0; c < 3; c++) rgb[p * 3 + c] = data[p * channels + (channels === 1 ? 0 : c)];
  return { ...size, channels: 3, data: rgb };
}
