import { summarize } from "../models/summary.ts";
import type { Layer } from "../nn/container.ts";
import type { ClassifierCard } from "./classifier.ts";
import type { Evaluation, Judged } from "./evaluate.ts";
import { pictureOf, shrink } from "./pictures.ts";
import type { ReportParts } from "./report/data.ts";
import { count, percent } from "./report/format.ts";
import { encodePng } from "./report/png.ts";

/** Pictures in a report are at most this wide and high; that of a page of them stays small. */
const thumbnail = 128;

/** What a report shows of a classifier: its layers, the confusion matrix, the worst mistakes and some samples. */
export async function classifierReport(
  { model: { name }, classes, input }: ClassifierCard,
  model: Layer,
  { confusion, mistakes, samples }: Evaluation,
): Promise<ReportParts> {
  const shape = [input.channels, input.height, input.width];
  const png = ({ image }: Judged) => encodePng(shrink(pictureOf(image, shape, input.transforms), thumbnail));
  const verdict = ({ truth, predicted, probability }: Judged) =>
    `${classes[predicted]} ${percent(probability, 1)}${truth === predicted ? "" : `, in truth ${classes[truth]}`}`;
  const wrong = confusion.total - Math.round(confusion.total * confusion.accuracy);
  return {
    summary: `${count(wrong)} of ${count(confusion.total)} test images are taken for something else.`,
    model: { name, layers: summarize(model, [1, ...shape]).rows },
    confusion,
    mistakes: await Promise.all(
      mistakes.map(async (one) => ({
        png: await png(one),
        truth: classes[one.truth],
        predicted: classes[one.predicted],
        probability: one.probability,
      })),
    ),
    samples: await Promise.all(samples.map(async (one) => ({ png: await png(one), caption: verdict(one) }))),
  };
}
