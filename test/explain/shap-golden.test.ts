/** Shapley values against the shap package, XGBoost and LightGBM. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { conv2d, linear, maxPool2d, relu, sigmoid, softplus, type Tensor, tensor } from "manabi";
import {
  type BlackBox,
  deepShap,
  type EnsembleArrays,
  exactShap,
  gradientShap,
  kernelShap,
  linearShap,
  permutationShap,
  predictTrees,
  type ScoreFunction,
  type ShapValues,
  tableMasker,
  treeShap,
  treesFromArrays,
  treesFromLightgbm,
  treesFromXgboost,
} from "manabi/explain";
import { readJson } from "../golden/fixture.ts";

type Rows = readonly (readonly number[])[];
interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Cases {
  readonly blackBox: { readonly [key in "w1" | "w2" | "pairs" | "x" | "background"]: Rows } & {
    readonly b1: readonly number[];
  } & { readonly [key in "exact" | "kernel" | "sparse" | "permutation"]: readonly Rows[] };
  readonly linear: { readonly [key in "weight" | "x" | "background"]: Rows } & {
    readonly bias: readonly number[];
  } & { readonly [key in "independent" | "correlated"]: readonly Rows[] };
  readonly sklearn: {
    readonly rows: Rows;
    readonly background: Rows;
    readonly models: Readonly<
      Record<
        string,
        {
          readonly ensemble: EnsembleArrays;
          readonly outputs: Rows;
          readonly pathDependent: readonly Rows[];
          readonly interventional: readonly Rows[];
          readonly expected: readonly number[];
        }
      >
    >;
  };
  readonly boosted: {
    readonly names: readonly string[];
    readonly rows: readonly (readonly (number | null)[])[];
    readonly xgboost: {
      readonly dump: readonly object[];
      readonly baseScore: number;
      readonly outputs: Rows;
      readonly values: readonly Rows[];
    };
    readonly lightgbm: { readonly dump: object; readonly outputs: readonly number[]; readonly values: readonly Rows[] };
  };
  readonly networks: Readonly<
    Record<
      "perceptron" | "convolutional",
      {
        readonly state: Readonly<Record<string, Numbers>>;
        readonly x: Numbers;
        readonly background: Numbers;
        readonly outputs: Rows;
        readonly deep: readonly Rows[];
        readonly gradient: readonly Rows[];
      }
    >
  >;
}

const cases = await readJson<Cases>("shap.json");
const f64 = (rows: Rows): Tensor => tensor(Float64Array.from(rows.flat()), [rows.length, rows[0].length]);
const filled = ({ shape, data }: Numbers): Tensor => tensor(Float64Array.from(data), shape as number[]);

function close(got: readonly ShapValues[], want: readonly Rows[], tolerance = 1e-6): void {
  assert.equal(got.length, want.length);
  for (const [k, rows] of want.entries()) near(got[k].values, rows.flat(), tolerance);
}

function near(got: ArrayLike<number>, want: readonly number[], tolerance = 1e-6): void {
  assert.equal(got.length, want.length);
  const worst = Math.max(...want.map((value, i) => Math.abs(got[i] - value)));
  assert.ok(worst <= tolerance, `differs by ${worst}`);
}

test("exact, kernel and permutation", async () => {
  const { blackBox: c } = cases;
  const [w1, b1, w2, pairs] = [f64(c.w1), tensor(Float64Array.from(c.b1)), f64(c.w2), f64(c.pairs)];
  const network: BlackBox = (rows) => rows.matmul(w1).add(b1).tanh().matmul(w2);
  const masker = tableMasker(f64(c.x), f64(c.background));
  close(await exactShap(network, masker), c.exact);
  close(await kernelShap(network, masker, { budget: 62 }), c.kernel);
  close(await kernelShap(network, masker, { budget: 62, features: 3 }), c.sparse);
  const interactions: BlackBox = (rows) => rows.matmul(pairs).mul(rows).sum(1);
  close(await permutationShap(interactions, masker, { permutations: 2 }), c.permutation);
});

test("linear, independent and correlated", async () => {
  const { linear: c } = cases;
  const model = { weight: f64(c.weight), bias: tensor(Float64Array.from(c.bias)) };
  close(await linearShap(model, f64(c.x), f64(c.background)), c.independent);
  const correlated = { featurePerturbation: "correlation_dependent" } as const;
  close(await linearShap(model, f64(c.x), f64(c.background), correlated), c.correlated);
});

for (const [name, model] of Object.entries(cases.sklearn.models))
  test(`trees of scikit-learn: ${name}`, async () => {
    const { rows, background } = cases.sklearn;
    const ensemble = treesFromArrays(model.ensemble);
    near(predictTrees(ensemble, rows), model.outputs.flat());
    const byPath = await treeShap(ensemble, rows);
    close(byPath, model.pathDependent);
    near(
      byPath.map(({ base }) => base[0]),
      model.expected,
    );
    close(await treeShap(ensemble, rows, { background }), model.interventional);
  });

test("trees of XGBoost and LightGBM, with missing values", async () => {
  const { names, xgboost, lightgbm } = cases.boosted;
  const rows = cases.boosted.rows.map((row) => row.map((value) => value ?? Number.NaN));
  const boosted = treesFromXgboost(xgboost.dump, { names, outputs: 3, baseScore: xgboost.baseScore });
  near(predictTrees(boosted, rows), xgboost.outputs.flat(), 1e-5);
  close(await treeShap(boosted, rows), xgboost.values, 1e-5);
  const light = treesFromLightgbm(lightgbm.dump);
  near(predictTrees(light, rows), lightgbm.outputs);
  close(await treeShap(light, rows), lightgbm.values);
  assert.deepEqual((await treeShap(light, rows))[0].names, names);
});

const networks: Readonly<Record<keyof Cases["networks"], (p: (key: string) => Tensor) => ScoreFunction>> = {
  perceptron: (p) => (x) => {
    const hidden = relu(linear(x, p("0.weight"), p("0.bias")));
    return sigmoid(linear(linear(hidden, p("2.weight"), p("2.bias")).tanh(), p("4.weight"), p("4.bias")));
  },
  convolutional: (p) => (x) => {
    const pooled = maxPool2d(relu(conv2d(x, p("0.weight"), p("0.bias"), { padding: 1 })), 2);
    const features = softplus(conv2d(pooled, p("3.weight"), p("3.bias")));
    return linear(features.flatten(1), p("6.weight"), p("6.bias"));
  },
};

for (const [name, build] of Object.entries(networks) as [keyof Cases["networks"], (typeof networks)["perceptron"]][])
  test(`networks: ${name}`, async () => {
    const c = cases.networks[name];
    const fn = build((key) => filled(c.state[key]));
    const [x, background] = [filled(c.x), filled(c.background)];
    near((await fn(x).data()) as Float64Array, c.outputs.flat(), 1e-9);
    close(await deepShap(fn, x, background), c.deep);
    const single = (t: Tensor) => t.cast("f32");
    const inF32 = build((key) => single(filled(c.state[key])));
    close(await deepShap(inF32, single(x), single(background), { batchSize: 2 }), c.deep, 1e-4);
    // Both sides are random draws: shap took 20,000.
    const drawn = await gradientShap(fn, x, background, { samples: 4000, batchSize: 4000 });
    for (const [k, { values, standardErrors }] of drawn.entries())
      for (const [i, want] of c.gradient[k].flat().entries())
        assert.ok(Math.abs(values[i] - want) < 5 * (standardErrors as Float64Array)[i] + 1e-9, `${values[i]} ${want}`);
  });
