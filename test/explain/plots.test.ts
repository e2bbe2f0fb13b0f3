/** SVG plots of Shapley values: what they show, at the right places, well-formed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  barPlot,
  dependencePlot,
  type Heatmap,
  imagePlot,
  regionHeatmap,
  type ShapValues,
  summaryPlot,
  waterfallPlot,
} from "manabi/explain";
import sharp from "sharp";

const names = ["age", "rooms < 3 & lift", "noise", "light"];
const rows = [
  [3, -1, 0.5, 0],
  [-2, 1.5, 0, 0.1],
  [1, 0, -0.25, 0.2],
];
const shap: ShapValues = {
  count: 3,
  names,
  values: Float64Array.from(rows.flat()),
  base: Float64Array.of(10, 10, 10),
  outputs: Float64Array.from(rows, (row) => row.reduce((a, b) => a + b, 10)),
  data: Float64Array.of(40, 2, Number.NaN, 1, 20, 4, 0.5, 1, 30, 3, 0.7, 2),
  gap: 0,
  standardErrors: null,
};

/** Throws unless it is well-formed XML that librsvg draws. */
const drawn = async (svg: string): Promise<{ width: number; height: number }> => {
  const { width, height } = await sharp(Buffer.from(svg)).png().metadata();
  return { width, height };
};
const numbers = (svg: string, pattern: RegExp): number[][] =>
  [...svg.matchAll(pattern)].map((found) => found.slice(1).map(Number));
const textAt = (svg: string, words: string): number => {
  const at = svg.indexOf(`>${words}<`);
  assert.ok(at >= 0, `${words} is not in the picture`);
  return at;
};
const proportional = (lengths: readonly number[], values: readonly number[]): void => {
  for (const [i, value] of values.entries())
    assert.ok(Math.abs(lengths[i] / lengths[0] - Math.abs(value / values[0])) < 1e-3, `${lengths}`);
};

test("bars over all examples: mean magnitudes, the largest first", async () => {
  const svg = barPlot(shap, { output: "price", limit: 3 });
  await drawn(svg);
  assert.ok(textAt(svg, "age") < textAt(svg, "rooms &lt; 3 &amp; lift"));
  assert.ok(!svg.includes(">light<"));
  textAt(svg, "mean |change of price|");
  const widths = numbers(svg, /width="([\d.]+)" height="18"/g).flat();
  proportional(widths, [2, 2.5 / 3, 0.25]);
});

test("bars of one example: signs by side and colour, the rest in one", async () => {
  const svg = barPlot(shap, { example: 0, limit: 3 });
  await drawn(svg);
  textAt(svg, "age = 40");
  textAt(svg, "2 others");
  textAt(svg, "\u22121");
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="18" fill="([^"]+)"/g)];
  proportional(
    bars.map(([, , width]) => Number(width)),
    [3, -1, 0.5],
  );
  const [first, second, third] = bars.map(([, x, width, colour]) => ({
    from: Number(x),
    to: Number(x) + Number(width),
    colour,
  }));
  assert.ok(Math.abs(first.from - second.to) < 0.02 && Math.abs(first.from - third.from) < 0.02);
  assert.ok(first.colour === third.colour && first.colour !== second.colour);
});

test("a waterfall goes from the expected to the output in steps that join", async () => {
  const svg = waterfallPlot(shap, 0, { output: "price" });
  await drawn(svg);
  textAt(svg, "price 12.5");
  textAt(svg, "expected 10");
  const steps = [...svg.matchAll(/points="([^"]+)"/g)].map(([, points]) => {
    const xs = points.split(" ").map((point) => Number(point.split(",")[0]));
    return { from: xs[0], to: xs[2] };
  });
  assert.equal(steps.length, 4);
  proportional(
    steps.map(({ from, to }) => Math.abs(to - from)),
    [3, -1, 0.5, 0],
  );
  for (const [i, { from }] of steps.slice(0, -1).entries()) assert.ok(Math.abs(from - steps[i + 1].to) < 0.02);
  assert.ok(steps[0].to > steps[0].from && steps[1].to < steps[1].from);
  textAt(waterfallPlot({ ...shap, data: null }, 1, { limit: 2 }), "3 others");
});

test("a summary has a dot for every value, grey where the feature is missing", async () => {
  const svg = summaryPlot(shap, { title: "Prices" });
  await drawn(svg);
  textAt(svg, "Prices");
  assert.equal(svg.match(/<circle/g)?.length, 12);
  assert.equal(svg.match(/<circle [^>]*fill="#9aa4b0"/g)?.length, 1);
  const plain = summaryPlot({ ...shap, data: null }, { limit: 2 });
  assert.equal(plain.match(/<circle/g)?.length, 6);
  assert.ok(!plain.includes("linearGradient"));
});

test("dots of one place are spread and stay in their row", () => {
  const count = 200;
  const one: ShapValues = { ...shap, count, names: ["a"], values: new Float64Array(count), data: null };
  const ys = numbers(summaryPlot(one), /cy="([\d.]+)"/g).flat();
  assert.equal(new Set(ys).size, count);
  assert.ok(Math.max(...ys) - Math.min(...ys) < 32);
});

test("dependence: the feature across, its contribution upward", async () => {
  const svg = dependencePlot(shap, "age", { colourBy: "light" });
  await drawn(svg);
  const [a, b, c] = numbers(svg, /cx="([\d.]+)" cy="([\d.]+)"/g);
  assert.ok(b[0] < c[0] && c[0] < a[0], "age 20, 30, 40");
  assert.ok(a[1] < c[1] && c[1] < b[1], "3, 1, -2 from the top");
  assert.equal(dependencePlot(shap, 2).match(/<circle/g)?.length, 2);
  assert.throws(() => dependencePlot(shap, "ages"), /unknown feature "ages"; did you mean age/);
  assert.throws(() => dependencePlot({ ...shap, data: null }, 0), /have no numbers/);
});

test("maps of regions beside the picture", async () => {
  const regions = { width: 4, height: 2, labels: Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3), count: 4 };
  const map = regionHeatmap(shap, regions);
  assert.deepEqual([...map.data], [3, 3, -1, -1, 0.5, 0.5, 0, 0]);
  const picture = { width: 4, height: 2, channels: 3, data: new Uint8Array(24).fill(128) } as const;
  const none: Heatmap = { width: 4, height: 2, data: new Float32Array(8) };
  const svg = await imagePlot(picture, [
    { map, title: "cat" },
    { map: none, title: "dog" },
  ]);
  await drawn(svg);
  const images = [...svg.matchAll(/href="data:image\/png;base64,([^"]+)"/g)].map(([, data]) =>
    Buffer.from(data, "base64"),
  );
  const pixels = await Promise.all(
    images.map((png) => sharp(png).removeAlpha().toColourspace("srgb").raw().toBuffer()),
  );
  assert.equal(pixels.length, 3);
  assert.ok(pixels[1][0] > pixels[1][2] + 50, "what speaks for it is orange");
  assert.ok(pixels[1][2 * 3 + 2] > pixels[1][2 * 3 + 1] + 3, "what speaks against it is purple");
  assert.deepEqual([...pixels[2]], [...pixels[0]]);
  await assert.rejects(imagePlot(picture, []), /no map to show/);
  assert.throws(() => regionHeatmap(shap, { ...regions, count: 3 }), /4 players for 3 regions/);
});

test("examples that are not there", () => {
  assert.throws(() => waterfallPlot(shap, 3), /no example 3; 3 are explained \(0 to 2\)/);
  assert.throws(() => barPlot(shap, { example: -1 }), /no example -1/);
});
