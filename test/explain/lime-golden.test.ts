/** The surrogates and statistics of LIME against those of the package lime, given the samples that it drew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cosineDistances,
  describeTable,
  type FeatureSelection,
  fitSurrogate,
  limeText,
  proximity,
} from "manabi/explain";
import type { HostArray } from "../../src/core/dtype.ts";
import { readJson, readTensors, relativeError } from "../golden/fixture.ts";

interface Fit {
  readonly name: string;
  readonly width: number;
  readonly selection: FeatureSelection;
  readonly features: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly intercept: number;
  readonly fidelity: number;
  readonly localPrediction: number;
}

type PerColumn<T> = Readonly<Record<string, readonly T[]>>;

interface Table {
  readonly values: PerColumn<number>;
  readonly frequencies: PerColumn<number>;
  readonly means: readonly number[];
  readonly scales: readonly number[];
  readonly bins: null | {
    readonly names: PerColumn<string>;
    readonly means: PerColumn<number>;
    readonly stds: PerColumn<number>;
    readonly mins: PerColumn<number>;
    readonly maxs: PerColumn<number>;
  };
}

const { fits, tables, text, names } = await readJson<{
  readonly fits: readonly Fit[];
  readonly tables: Readonly<Record<string, Table>>;
  readonly text: string;
  readonly names: readonly string[];
}>("lime.json");
const tensors = await readTensors("lime.safetensors");
const stored = (name: string): HostArray => tensors.get(name) as HostArray;

const close = (got: number, want: number): void =>
  assert.ok(Math.abs(got - want) < 1e-9, `${got} is not ${want}, as lime says`);

for (const { name, width, selection, features, ...want } of fits)
  test(`${name}: ${features} features by ${selection}`, () => {
    const [data, scores, distances] = ["data", "scores", "distances"].map((part) => stored(`${name}/${part}`));
    const [examples, columns] = data.shape;
    const neighbourhood = {
      data: Float64Array.from(data.data),
      examples,
      columns,
      proximity: proximity(distances.data, width),
    };
    const got = fitSurrogate(neighbourhood, Float64Array.from(scores.data), { features, selection });
    assert.deepEqual(new Set(got.weights.map(({ feature }) => String(feature))), new Set(Object.keys(want.weights)));
    for (const { feature, weight } of got.weights) close(weight, want.weights[feature]);
    for (const key of ["intercept", "fidelity", "localPrediction"] as const) close(got[key], want[key]);
    const sizes = got.weights.map(({ weight }) => Math.abs(weight));
    assert.deepEqual(
      sizes,
      [...sizes].sort((a, b) => b - a),
    );
  });

test("cosine distances of masks", () => {
  for (const [name, scale] of [
    ["image", 1],
    ["text", 100],
  ] as const) {
    const { data, shape } = stored(`${name}/data`);
    const got = cosineDistances(data, shape[1]).map((distance) => scale * distance);
    assert.ok(relativeError(got, stored(`${name}/distances`).data) < 1e-12);
  }
});

for (const [kind, want] of Object.entries(tables))
  test(`statistics of a table by ${kind}`, () => {
    const { data, shape } = stored("table");
    const rows = Array.from({ length: shape[0] }, (_, i) => data.subarray(i * shape[1], (i + 1) * shape[1]));
    const bins = kind === "None" ? null : (kind as "quartile" | "decile");
    const got = describeTable(rows, { names, categorical: { 4: null }, bins });
    for (const [c, column] of got.entries()) {
      if (column.kind === "numeric") {
        close(column.mean, want.means[c]);
        close(column.deviation, want.scales[c]);
      } else if (column.kind === "categorical") {
        assert.deepEqual(column.values, want.values[c]);
        assert.deepEqual(column.frequencies, want.frequencies[c]);
      } else {
        assert.ok(want.bins);
        const { names, means, stds, mins, maxs } = want.bins;
        assert.deepEqual(
          column.bins.map(({ condition }) => condition),
          names[c],
        );
        for (const [b, bin] of column.bins.entries()) {
          close(bin.mean, means[c][b]);
          close(bin.deviation + 1e-11, stds[c][b]);
          close(bin.low, mins[c][b]);
          close(bin.high, maxs[c][b]);
          const place = want.values[c].indexOf(b);
          assert.equal(bin.frequency, place < 0 ? 0 : want.frequencies[c][place]);
        }
      }
    }
    assert.deepEqual(
      got.map(({ kind }) => kind),
      names.map((_, c) => (c === 4 ? "categorical" : bins ? "binned" : "numeric")),
    );
  });

test("a text has as many words and places as lime finds", async () => {
  const score = (texts: readonly string[]) => texts.map((t) => [t.length]);
  for (const [removal, name] of [
    ["words", "text"],
    ["positions", "positions"],
  ] as const) {
    const [{ weights }] = await limeText(score, text, { removal, samples: 60, selection: "none" });
    assert.equal(weights.length, stored(`${name}/data`).shape[1]);
    for (const { word, places } of weights)
      for (const place of places) assert.equal(text.slice(place, place + word.length), word);
  }
});
