import assert from "node:assert/strict";
import { test } from "node:test";
import {
  colourMaps,
  colourTable,
  contour,
  drawHeatmap,
  type Heatmap,
  outline,
  overlay,
  resizeHeatmap,
} from "manabi/explain";

type Rgb = readonly [number, number, number];

const linear = (byte: number): number => {
  const v = byte / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};
/** CIE lightness, 0 to 100. */
const lightness = ([r, g, b]: Rgb): number => {
  const y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
};
const colours = (name: (typeof colourMaps)[number]): Rgb[] => {
  const table = colourTable(name);
  return Array.from({ length: 256 }, (_, i) => [table[3 * i], table[3 * i + 1], table[3 * i + 2]]);
};

/** Linear RGB as people without one kind of cones see it (Viénot, Brettel and Mollon 1999; Machado et al. 2009 for blue). */
const dichromacies = {
  protanopia: [0.11238, 0.88762, 0, 0.11238, 0.88762, 0, 0.00401, -0.00401, 1],
  deuteranopia: [0.29275, 0.70725, 0, 0.29275, 0.70725, 0, -0.02234, 0.02234, 1],
  tritanopia: [1.25553, -0.07675, -0.17878, -0.07841, 0.93081, 0.1476, 0.00473, 0.69137, 0.3039],
} as const;

/** CIE L*a*b* of linear RGB. */
function lab(r: number, g: number, b: number): Rgb {
  const f = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
const seenBy = (m: readonly number[], colour: Rgb): Rgb => {
  const [r, g, b] = colour.map(linear);
  const row = (i: number) => Math.max(0, m[i] * r + m[i + 1] * g + m[i + 2] * b);
  return lab(row(0), row(3), row(6));
};
const distance = (a: Rgb, b: Rgb): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

test("sequential maps grow lighter all the way, so that they can be printed in grey", () => {
  for (const name of ["viridis", "cividis"] as const) {
    const steps = colours(name).map(lightness);
    for (let i = 4; i < 256; i++) assert.ok(steps[i] > steps[i - 4], `${name} at ${i}`);
    assert.ok(steps[255] - steps[0] > 65, name);
  }
});

test("the diverging map is white in the middle and grows darker to both sides", () => {
  const steps = colours("purple-orange").map(lightness);
  assert.ok(steps[127] > 93 && steps[128] > 93);
  for (let i = 4; i < 120; i++) assert.ok(steps[i] > steps[i - 4] && steps[255 - i] > steps[259 - i], `${i}`);
  for (let i = 0; i < 128; i++) assert.ok(Math.abs(steps[i] - steps[255 - i]) < 26, `${i}`);
  const [[lowRed, , lowBlue], [highRed, , highBlue]] = [colours("purple-orange")[16], colours("purple-orange")[239]];
  assert.ok(lowBlue > lowRed && highRed > highBlue, "purple is low, orange is high");
});

test("ten steps of every map stay apart for eyes without red, green or blue cones", () => {
  for (const name of colourMaps)
    for (const [kind, matrix] of Object.entries(dichromacies)) {
      const seen = Array.from({ length: 10 }, (_, i) => seenBy(matrix, colours(name)[Math.round((i * 255) / 9)]));
      for (const [i, a] of seen.entries())
        for (const b of seen.slice(i + 1)) assert.ok(distance(a, b) > 4, `${name}, ${kind}: ${distance(a, b)}`);
    }
});

const ramp: Heatmap = { width: 3, height: 1, data: Float32Array.of(0, 1, 2) };

test("a heat map in colours", () => {
  const at = (map: Heatmap) => [...drawHeatmap(map).data];
  const [viridis, diverging] = [colours("viridis"), colours("purple-orange")];
  assert.deepEqual(at(ramp), [...viridis[0], ...viridis[128], ...viridis[255]]);
  assert.deepEqual(at({ ...ramp, data: Float32Array.of(-2, 0, 2) }), [
    ...diverging[0],
    ...diverging[128],
    ...diverging[255],
  ]);
  assert.deepEqual(at({ ...ramp, data: Float32Array.of(0, 0, 0) }), [...viridis[0], ...viridis[0], ...viridis[0]]);
  assert.throws(() => at({ ...ramp, data: Float32Array.of(0, Number.NaN, 1) }), /value 1 of the heat map is NaN/);
});

test("an overlay has the picture's size, and where a diverging map is zero the picture stays", () => {
  const picture = { width: 6, height: 2, channels: 3, data: new Uint8Array(36).map((_, i) => 7 * i) } as const;
  const plain = { ...ramp, data: Float32Array.of(-1, 0, 1) };
  const drawn = overlay(picture, plain, { keepColours: true });
  assert.deepEqual([drawn.width, drawn.height, drawn.channels], [6, 2, 3]);
  const none = overlay(picture, { ...ramp, data: Float32Array.of(-1e-9, 0, 1e-9) }, { keepColours: true, limit: 1e6 });
  assert.deepEqual(none.data, picture.data);
  const full = overlay(picture, ramp, { opacity: 1 });
  assert.deepEqual(full.data, drawHeatmap(resizeHeatmap(ramp, 6, 2)).data);
  const grey = overlay({ width: 3, height: 1, channels: 1, data: Uint8Array.of(9, 99, 199) }, ramp, { opacity: 0 });
  assert.deepEqual([...grey.data], [9, 9, 9, 99, 99, 99, 199, 199, 199]);
  assert.throws(() => overlay(picture, ramp, { opacity: 2 }), /opacity is 2; it goes from 0 to 1/);
});

test("lines between regions and around the hot part", () => {
  const picture = { width: 4, height: 1, channels: 1, data: new Uint8Array(4) } as const;
  const red = [255, 0, 0] as const;
  assert.deepEqual([...outline(picture, [0, 0, 1, 1], red).data], [0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  const hot = contour(picture, { width: 4, height: 1, data: Float32Array.of(0, 1, 4, 3) }, 0.5, red);
  assert.deepEqual([...hot.data], [0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.throws(() => outline(picture, [1, 2]), /2 regions do not fit a picture of 4x1 pixels/);
});

test("a heat map of another size", () => {
  const { data } = resizeHeatmap({ width: 2, height: 2, data: Float32Array.of(0, 1, 2, 3) }, 4, 2);
  assert.deepEqual([...data], [0, 0.25, 0.75, 1, 2, 2.25, 2.75, 3]);
});
