/** TreeSHAP against enumeration of all coalitions, and trees of a library. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  predictTrees,
  type ShapValues,
  type TreeArrays,
  type TreeEnsemble,
  treeShap,
  treesFromArrays,
  treesFromLightgbm,
  treesFromMlForest,
  treesFromXgboost,
  withCover,
} from "manabi/explain";
import { RandomForestClassifier, RandomForestRegression } from "ml-random-forest";
import { Rng, seedKey } from "../../src/core/rng.ts";

type Row = readonly number[];
type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

const features = 5;
const outputs = 2;

/** Few thresholds and few features, so that paths ask for a feature again and rows meet thresholds exactly. */
function randomTree(rng: Rng, depth: number): TreeArrays {
  const tree: Mutable<Required<TreeArrays>> = {
    left: [],
    right: [],
    feature: [],
    threshold: [],
    value: [],
    cover: [],
    missingLeft: [],
  };
  const grow = (level: number, cover: number): number => {
    const node = tree.left.length;
    tree.left.push(-1);
    tree.right.push(-1);
    tree.feature.push(rng.int(features));
    tree.threshold.push(rng.int(5) - 2);
    tree.value.push(Array.from({ length: outputs }, () => rng.normal()));
    tree.cover.push(cover);
    tree.missingLeft.push(rng.int(2));
    if (level < depth && cover > 1 && rng.chance(0.9)) {
      const share = rng.int(cover + 1);
      tree.left[node] = grow(level + 1, share);
      tree.right[node] = grow(level + 1, cover - share);
    }
    return node;
  };
  grow(0, 40);
  return tree;
}

function randomEnsemble(seed: number): TreeEnsemble {
  const rng = new Rng(seedKey(seed));
  const trees = Array.from({ length: 3 }, () => randomTree(rng, 6));
  // A node that no example passed has no shares to go by.
  if (trees.some((t) => t.cover?.some((c, n) => c === 0 && t.left[n] >= 0))) return randomEnsemble(seed + 1000);
  return treesFromArrays({ trees, features, outputs, scale: 0.5, offset: [1, -2] });
}

const randomRow = (rng: Rng): Row =>
  Array.from({ length: features }, () => (rng.chance(0.1) ? Number.NaN : rng.int(7) - 3));

/** Shapley values by their definition. */
function enumerate(worth: (present: readonly boolean[]) => Row): number[][] {
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
  const values = Array.from({ length: outputs }, () => Array.from({ length: features }, () => 0));
  for (let bits = 0; bits < 2 ** features; bits++) {
    const present = Array.from({ length: features }, (_, j) => ((bits >> j) & 1) === 1);
    const size = present.filter(Boolean).length;
    for (let j = 0; j < features; j++) {
      if (present[j]) continue;
      const weight = (factorial(size) * factorial(features - size - 1)) / factorial(features);
      const [before, after] = [worth(present), worth(present.with(j, true))];
      for (let k = 0; k < outputs; k++) values[k][j] += weight * (after[k] - before[k]);
    }
  }
  return values;
}

/** What a tree expects where only the present features are known: both ways by cover at the others. */
function expectation(tree: TreeEnsemble["trees"][number], row: Row, present: readonly boolean[], node = 0): Row {
  const [left, right] = [tree.left[node], tree.right[node]];
  if (left < 0) return [...tree.value.subarray(node * outputs, (node + 1) * outputs)];
  const value = row[tree.feature[node]];
  const goesLeft = Number.isNaN(value) ? tree.missingLeft[node] === 1 : value <= tree.threshold[node];
  if (present[tree.feature[node]]) return expectation(tree, row, present, goesLeft ? left : right);
  const [l, r] = [expectation(tree, row, present, left), expectation(tree, row, present, right)];
  const share = tree.cover[left] / tree.cover[node];
  return l.map((v, k) => share * v + (1 - share) * r[k]);
}

const total = (rows: readonly Row[]): Row => rows.reduce((sum, row) => sum.map((v, k) => v + row[k]));

function same(found: readonly ShapValues[], example: number, want: readonly (readonly number[])[]): void {
  for (const [k, { values }] of found.entries())
    for (let j = 0; j < features; j++)
      assert.ok(
        Math.abs(values[example * features + j] - want[k][j]) < 1e-12,
        `${values[example * features + j]} ${want[k][j]}`,
      );
}

for (let seed = 0; seed < 12; seed++)
  test(`equals enumeration on random trees ${seed}`, async () => {
    const ensemble = randomEnsemble(seed);
    const rng = new Rng(seedKey(seed + 100));
    const rows = Array.from({ length: 4 }, () => randomRow(rng));
    const background = Array.from({ length: 3 }, () => randomRow(rng));
    const byPath = await treeShap(ensemble, rows);
    const byBackground = await treeShap(ensemble, rows, { background });
    for (const [i, row] of rows.entries()) {
      const expected = (present: readonly boolean[]) =>
        total(ensemble.trees.map((tree) => expectation(tree, row, present))).map((v) => v * ensemble.scale);
      same(byPath, i, enumerate(expected));
      const intervened = (present: readonly boolean[]) =>
        total(
          background.map((other) => [
            ...predictTrees(ensemble, [row.map((value, j) => (present[j] ? value : other[j]))]).map(
              (v) => v / background.length,
            ),
          ]),
        );
      same(byBackground, i, enumerate(intervened));
    }
  });

const rng = new Rng(seedKey(1));
const x = Array.from({ length: 90 }, () => Array.from({ length: 4 }, () => rng.normal()));

test("a regression forest of ml-random-forest, with columns drawn per tree", async () => {
  const y = x.map(([a, b]) => 3 * a + (b > 0 ? 2 : -2));
  const forest = new RandomForestRegression({ nEstimators: 12, maxFeatures: 0.8, seed: 4, noOOB: true });
  forest.train(x, y);
  const trees = withCover(treesFromMlForest(forest.toJSON(), { features: 4 }), x);
  const predicted = forest.predict(x);
  for (const [i, value] of predictTrees(trees, x).entries()) assert.ok(Math.abs(value - predicted[i]) < 1e-9);
  const saved = withCover(treesFromMlForest(JSON.parse(JSON.stringify(forest)), { features: 4 }), x);
  for (const options of [{}, { background: x.slice(0, 20) }]) {
    const [found] = await treeShap(trees, x.slice(0, 30), options);
    assert.ok(found.gap < 1e-9);
    assert.deepEqual((await treeShap(saved, x.slice(0, 30), options))[0].values, found.values);
    // The two columns that the target is made of carry the credit.
    const weights = [0, 1, 2, 3].map((j) => found.values.reduce((s, v, i) => s + (i % 4 === j ? Math.abs(v) : 0), 0));
    assert.ok(Math.min(weights[0], weights[1]) > 4 * Math.max(weights[2], weights[3]), `${weights}`);
  }
});

test("a classification forest of ml-random-forest predicts shares of votes", async () => {
  const y = x.map(([a, , c]) => (a > 0.5 ? 2 : c > 0 ? 1 : 0));
  const forest = new RandomForestClassifier({ nEstimators: 9, seed: 2, noOOB: true });
  forest.train(x, y);
  const trees = treesFromMlForest(forest.toJSON(), { features: 4, names: ["a", "b", "c", "d"] });
  assert.equal(trees.outputs, 3);
  const votes = forest.predictionValues(x).to2DArray();
  const shares = predictTrees(trees, x);
  for (const [i, own] of votes.entries())
    for (let k = 0; k < 3; k++)
      assert.ok(Math.abs(shares[i * 3 + k] - own.filter((vote) => vote === k).length / 9) < 1e-12);
  await assert.rejects(treeShap(trees, x), /cover of node 0 of tree 0 is NaN.*withCover/);
  const found = await treeShap(withCover(trees, x), x.slice(0, 5));
  assert.deepEqual(found[2].names, ["a", "b", "c", "d"]);
  for (let i = 0; i < 20; i++)
    assert.ok(Math.abs(found.reduce((sum, { values }) => sum + values[i], 0)) < 1e-12, "shares add up to 1");
});

test("trees that cannot be explained", async () => {
  const stump = { left: [1, -1, -1], right: [2, -1, -1], feature: [0, -1, -1], threshold: [0, 0, 0] };
  const value = [[0], [1], [2]];
  const read = (tree: Partial<TreeArrays>) =>
    treesFromArrays({ trees: [{ ...stump, value, ...tree }], features: 1, outputs: 1 });
  assert.throws(() => read({ feature: [3, -1, -1] }), /node 0 of tree 0 asks for column 3; there are 1/);
  assert.throws(() => read({ right: [1, -1, -1] }), /has the child 1; children come after/);
  assert.throws(() => read({ left: [0, -1, -1] }), /has the child 0/);
  assert.throws(() => read({ value: [[0], [Number.NaN], [2]] }), /leaf 1 of tree 0 predicts NaN/);
  assert.throws(() => read({ threshold: [0] }), /an entry for each of its 3 nodes/);
  assert.throws(() => treesFromArrays({ trees: [], features: 1, outputs: 1 }), /the ensemble has none/);
  const trees = read({ cover: [4, 1, 3] });
  await assert.rejects(treeShap(trees, []), /no rows to explain/);
  await assert.rejects(treeShap(trees, [[1, 2]]), /row 0 has 2 numbers, the trees ask for 1/);
  await assert.rejects(treeShap(trees, [[1]], { background: [] }), /background has no rows/);
  const median = { name: "RFRegression", selectionMethod: "median", baseModel: { indexes: [], estimators: [] } };
  assert.throws(() => treesFromMlForest(median, { features: 1 }), /the median of its trees/);
  assert.throws(() => treesFromMlForest({ name: "DTRegression" }, { features: 1 }), /there is no tree in it/);
  const categories = { nodeid: 0, split: "f0", split_condition: [1, 2], yes: 1, no: 2, children: [] };
  assert.throws(() => treesFromXgboost([categories], { features: 1 }), /splits "f0" by \[1,2\]/);
  assert.throws(() => treesFromXgboost([{ nodeid: 0, leaf: 1 }], {}), /give names or the number of features/);
  const byCategory = { split_feature: 0, threshold: "1||2", decision_type: "==", left_child: {}, right_child: {} };
  const light = {
    num_tree_per_iteration: 1,
    max_feature_idx: 0,
    feature_names: ["a"],
    tree_info: [{ tree_structure: byCategory }],
  };
  assert.throws(() => treesFromLightgbm(light), /by == 1\|\|2/);
});
