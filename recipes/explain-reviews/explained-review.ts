import { type BlackBox, kernelShap, limeText, rankCorrelation, textPlot, wordMasker } from "manabi/explain";
import { html, type Markup } from "manabi/train";

/** A review and what is known of it. */
export interface Review {
  readonly text: string;
  /** The true class; null where nobody has said. */
  readonly label: string | null;
}

/** A review with what LIME and SHAP say of its words. */
export interface ExplainedReview {
  readonly body: Markup;
  /** The weighted R² of LIME's linear model. */
  readonly fidelity: number;
  /** Rank correlation of LIME's weights and Shapley values, over the words that the review has. */
  readonly agreement: number;
}

/** Log-odds of praise. */
const logOdds = (logits: ArrayLike<number>): number => logits[1] - logits[0];

const shownWords = 8;

/** Explains the log-odds of the second class by LIME and by Kernel SHAP. `classify` gives logits of texts. */
export async function explainReview(
  classify: BlackBox<readonly string[]>,
  { text, label }: Review,
  classes: readonly string[],
  seed: number,
): Promise<ExplainedReview> {
  const options = { targets: [logOdds], seed, batchSize: 256 };
  const [shap] = await kernelShap(classify, wordMasker(text), options);
  const words = new Map<string, number>();
  for (const [i, word] of shap.names.entries()) words.set(word, (words.get(word) ?? 0) + shap.values[i]);
  const all = { samples: Math.max(1000, 4 * words.size), features: words.size, separator: /\s+/u };
  const [lime] = await limeText(classify, text, { ...options, ...all });
  const values = lime.weights.map(({ word }) => words.get(word) ?? 0);
  const agreement = rankCorrelation(
    lime.weights.map(({ weight }) => weight),
    values,
  );
  const odds = shap.outputs[0];
  const said = classes[Number(odds > 0)];
  const rows = lime.weights.slice(0, shownWords).map(
    (
      { word, weight },
      i,
    ) => html`<tr><th scope="row">${word}</th><td class="number">${weight.toFixed(2)}</td><td class="number">${values[i].toFixed(2)}</td></tr>
`,
  );
  const truth = label === null ? "" : label === said ? ", and it is" : `, but it is ${label}`;
  const body = html`<h3 class="asked">Taken for ${said}${truth} <small>log-odds ${odds.toFixed(2)}</small></h3>
${textPlot(shap.names, shap.values)}
<div class="scroll"><table><thead><tr><th scope="col">word</th><th scope="col" class="number">LIME</th><th scope="col" class="number">SHAP</th></tr></thead>
<tbody>${rows}</tbody></table></div>
<p>LIME's linear model has R² ${lime.fidelity.toFixed(3)}; Shapley values and the base ${shap.base[0].toFixed(2)} add up to the log-odds but for ${shap.gap.toExponential(0)}. Rank correlation of the two: ${agreement.toFixed(2)}.</p>`;
  return { body, fidelity: lime.fidelity, agreement };
}
