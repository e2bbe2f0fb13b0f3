import type { ClassifierCard } from "./classifier.ts";
import type { Evaluation, Judged } from "./evaluate.ts";
import { pictureOf } from "./pictures.ts";
import type { ReportParts } from "./report/data.ts";
import { percent } from "./report/format.ts";
import { encodePng } from "./report/png.ts";

/** What a report shows of an evaluation: confusion matrix, the worst mistakes and some samples as pictures. */
export async function classifierReport(
  { classes, input }: ClassifierCard,
  { confusion, mistakes, samples }: Evaluation,
): Promise<ReportParts> {
  const shape = [input.channels, input.height, input.width];
  const png = ({ image }: Judged) => encodePng(pictureOf(image, shape, input.transforms));
  const verdict = ({ truth, predicted, probability }: Judged) =>
    `${classes[predicted]} ${percent(probability, 1)}${truth === predicted ? "" : `, in truth ${classes[truth]}`}`;
  return {
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
