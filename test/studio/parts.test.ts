/** What the studio computes without a page. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Series } from "../../studio/src/app/series.ts";
import { defaults, validSettings } from "../../studio/src/app/settings.ts";
import { toDigit } from "../../studio/src/draw/digit.ts";
import { en } from "../../studio/src/text/en.ts";
import { ja } from "../../studio/src/text/ja.ts";
import { networks } from "../../studio/src/worker/messages.ts";
import { makeNetwork } from "../../studio/src/worker/networks.ts";

/** A rectangle of ink on a paper of 100 x 100. */
const rectangle = (left: number, top: number, width: number, height: number): Uint8Array =>
  Uint8Array.from({ length: 10_000 }, (_, i) => {
    const [x, y] = [i % 100, Math.floor(i / 100)];
    return x >= left && x < left + width && y >= top && y < top + height ? 255 : 0;
  });

/** Rows and columns that hold ink. */
function extent(picture: Uint8Array): { rows: [number, number]; columns: [number, number] } {
  const inked = [...picture.keys()].filter((i) => picture[i] > 0);
  const [rows, columns] = [inked.map((i) => Math.floor(i / 28)), inked.map((i) => i % 28)];
  const ends = (list: number[]): [number, number] => [Math.min(...list), Math.max(...list)];
  return { rows: ends(rows), columns: ends(columns) };
}

describe("a drawing becomes a picture of MNIST", () => {
  test("wherever it is and however large: the longer side is 20, the middle is the centre of mass", () => {
    for (const ink of [rectangle(10, 5, 20, 80), rectangle(70, 50, 10, 40), rectangle(0, 0, 25, 100)]) {
      const picture = toDigit(ink, 100);
      assert.ok(picture);
      const { rows, columns } = extent(picture);
      assert.deepEqual(rows, [4, 23]);
      assert.deepEqual([columns[0] + columns[1], columns[1] - columns[0] + 1], [27, columns[1] - columns[0] + 1]);
      assert.ok(Math.abs(columns[1] - columns[0] + 1 - 5) <= 1, `a fourth as wide as high, got ${columns}`);
    }
  });

  test("a centre of mass off the middle moves it, and what leaves the picture is cut off", () => {
    const ink = rectangle(0, 0, 100, 10).map((v, i) => v || rectangle(0, 0, 10, 100)[i]);
    const { rows, columns } = extent(toDigit(ink, 100) as Uint8Array);
    assert.deepEqual(rows, columns);
    assert.ok(rows[0] > 4, "the corner holds most of the ink, so it lies nearer to the middle");
  });

  test("no ink is no picture", () => assert.equal(toDigit(new Uint8Array(10_000), 100), null));
});

test("a curve of any length keeps its mean, its end and a bounded number of points", () => {
  const series = new Series(100);
  for (let i = 1; i <= 10_000; i++) series.add(i, i % 2);
  const { points } = series;
  assert.ok(points.length > 40 && points.length < 100, `${points.length} points`);
  assert.ok(points.every(({ y }) => y === 0.5));
  assert.ok(points[points.length - 1].x > 9_700);
  series.cut(5000);
  assert.ok(series.points.length > 20 && series.points.every(({ x }) => x <= 5000));
  series.cut(0);
  assert.deepEqual(series.points, []);
  series.add(1, 7);
  assert.deepEqual(series.points, [{ x: 1, y: 7 }]);
});

test("settings from storage: what is not valid is as by default", () => {
  const good = { network: "resnet", backend: "reference", epochs: 7, batchSize: 32, lr: 0.1, images: 1000, seed: 5 };
  assert.deepEqual(validSettings(good), good);
  for (const bad of [null, 3, "x", [], { network: "toString", backend: "native", epochs: 0, batchSize: 1.5, lr: "1" }])
    assert.deepEqual(validSettings(bad), defaults);
  assert.equal(validSettings({ ...good, epochs: 1e9 }).epochs, defaults.epochs);
});

test("the text tells the sizes that networks have", async () => {
  for (const name of networks) {
    const { parameterCount } = await makeNetwork(name);
    for (const { networks } of [en, ja])
      assert.ok(networks[name][1].includes(parameterCount.toLocaleString("en")), `${name}: ${parameterCount}`);
  }
});

test("both languages say everything, and say it differently", () => {
  const flat = (value: unknown, path = ""): [string, unknown][] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, v]) => flat(v, `${path}.${key}`))
      : [[path, value]];
  const [english, japanese] = [new Map(flat(en)), new Map(flat(ja))];
  assert.deepEqual([...english.keys()], [...japanese.keys()]);
  const proper = [".title", ".networks.resnet.0", ".backends.webgpu", ".backends.wasm"];
  for (const [key, said] of english)
    if (typeof said === "string" && !proper.includes(key)) assert.notEqual(said, japanese.get(key), key);
});
