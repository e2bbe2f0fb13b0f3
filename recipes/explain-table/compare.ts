import type { LabelledTable } from "manabi/data";
import {
  type BlackBox,
  describeTable,
  exactShap,
  limeTabular,
  predictTrees,
  rankCorrelation,
  type ShapValues,
  summaryPlot,
  type TreeEnsemble,
  tableMasker,
  treeShap,
  waterfallPlot,
} from "manabi/explain";
import { html, Markup, type PageSection } from "manabi/train";
import { rowsTensor } from "./table-net.ts";

/** Two models of one table that are asked the same. */
export interface Models {
  readonly forest: TreeEnsemble;
  /** Probabilities of rows f32 [n, columns]: [n, classes]. */
  readonly network: BlackBox;
}

/** What matters by one method, column by column: mean magnitudes, as shares of their sum. */
interface Importance {
  readonly name: string;
  readonly shares: readonly number[];
}

export interface Comparison {
  readonly sections: readonly PageSection[];
  /** Rank correlation of the columns' importances by SHAP and by LIME. */
  readonly agreement: Readonly<Record<keyof Models, number>>;
}

/** What SHAP and LIME say about the rows of `test`, as sections of a report. */
export async function compareModels(
  { forest, network }: Models,
  train: LabelledTable,
  test: LabelledTable,
  options: { readonly seed: number; readonly limeRows: number; readonly background: number },
): Promise<Comparison> {
  const { columns, classes } = train;
  const background = train.rows.slice(0, options.background);
  const names = columns.map(({ name }) => name);
  const ofForest = await treeShap({ ...forest, names }, test.rows, { background });
  const masker = tableMasker(rowsTensor(test.rows), rowsTensor(background), { names });
  const ofNetwork = await exactShap(network, masker, { batchSize: 4096 });
  const asBox: BlackBox = async (batch) => {
    const [count, width] = batch.shape;
    const data = Float64Array.from(await batch.data(), Number);
    const rows = Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));
    const scores = predictTrees(forest, rows);
    return rows.map((_, i) => scores.subarray(i * classes.length, (i + 1) * classes.length));
  };
  const importances: Importance[] = [
    { name: "Tree SHAP, forest", shares: shapShares(ofForest) },
    { name: "exact SHAP, network", shares: shapShares(ofNetwork) },
    { name: "LIME, forest", shares: await limeShares(asBox, train, test, options) },
    { name: "LIME, network", shares: await limeShares(network, train, test, options) },
  ];
  const [forestShap, networkShap, forestLime, networkLime] = importances.map(({ shares }) => shares);
  const agreement = {
    forest: rankCorrelation(forestShap, forestLime),
    network: rankCorrelation(networkShap, networkLime),
  };
  const plot = (svg: string) => html`<div class="scroll">${new Markup(svg)}</div>`;
  const perClass = classes.map(
    (name, k) => html`<h3 class="asked">${name}</h3>
${plot(summaryPlot(ofForest[k], { title: "forest", output: `share of votes for ${name}` }))}
${plot(summaryPlot(ofNetwork[k], { title: "network", output: `probability of ${name}` }))}`,
  );
  const shown = mostDisputed(ofForest, ofNetwork, test);
  const label = test.labels[shown];
  const one = [
    waterfallPlot(ofForest[label], shown, { title: "forest", output: `share of votes for ${classes[label]}` }),
    waterfallPlot(ofNetwork[label], shown, { title: "network", output: `probability of ${classes[label]}` }),
  ];
  const coded = columns.flatMap(({ name, categories }) =>
    categories ? [`${name}: ${categories.map((word, i) => `${i} is ${word}`).join(", ")}`] : [],
  );
  return {
    agreement,
    sections: [
      { id: "matters", title: "Which columns matter", body: importanceTable(names, importances) },
      {
        id: "classes",
        title: "For and against each class",
        body: html`<p>A dot is a row of the test part; its colour says whether the column's own value is low or high. ${coded.join("; ")}.</p>${perClass}`,
      },
      {
        id: "one",
        title: "The row on which the two models differ most",
        body: html`<p>It is ${classes[label]}.</p>${one.map(plot)}`,
      },
    ],
  };
}

/** Mean magnitude of Shapley values over rows and classes. */
function shapShares(shap: readonly ShapValues[]): number[] {
  const width = shap[0].names.length;
  const sums = new Array<number>(width).fill(0);
  for (const { values } of shap) for (const [j, value] of values.entries()) sums[j % width] += Math.abs(value);
  return sharesOf(sums);
}

/** Mean magnitude of LIME's weights for the true class, over the first rows. */
async function limeShares(
  model: BlackBox,
  train: LabelledTable,
  test: LabelledTable,
  { seed, limeRows }: { readonly seed: number; readonly limeRows: number },
): Promise<number[]> {
  const categorical = Object.fromEntries(
    train.columns.flatMap(({ categories }, c) => (categories ? [[c, categories] as const] : [])),
  );
  const table = describeTable(train.rows, { names: train.columns.map(({ name }) => name), categorical });
  const sums = new Array<number>(table.length).fill(0);
  for (const [i, row] of test.rows.slice(0, limeRows).entries()) {
    const options = { targets: [test.labels[i]], samples: 2000, features: table.length, seed };
    const [{ weights }] = await limeTabular(model, table, row, options);
    for (const { feature, weight } of weights) sums[feature] += Math.abs(weight);
  }
  return sharesOf(sums);
}

function sharesOf(sums: readonly number[]): number[] {
  const total = sums.reduce((a, b) => a + b, 0);
  return sums.map((sum) => (total > 0 ? sum / total : 0));
}

/** The row whose true class the models give the most different scores. */
function mostDisputed(a: readonly ShapValues[], b: readonly ShapValues[], { labels }: LabelledTable): number {
  const gap = (i: number) => Math.abs(a[labels[i]].outputs[i] - b[labels[i]].outputs[i]);
  return [...labels.keys()].reduce((worst, i) => (gap(i) > gap(worst) ? i : worst), 0);
}

function importanceTable(names: readonly string[], importances: readonly Importance[]): Markup {
  const order = [...names.keys()].sort((a, b) => importances[0].shares[b] - importances[0].shares[a]);
  return html`<p>Mean magnitudes as shares of their sum, over all classes and test rows for SHAP, over the true classes of some rows for LIME.</p>
<div class="scroll"><table><thead><tr><th scope="col">column</th>${importances.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
<tbody>${order.map(
    (
      c,
    ) => html`<tr><th scope="row">${names[c]}</th>${importances.map(({ shares }) => html`<td class="number">${(100 * shares[c]).toFixed(1)} %</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}
