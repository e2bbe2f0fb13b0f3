/** Losses that use images without labels, one per method. Each step sees a batch with labels and two views of a batch
 *  without; all go through the model together, so that batch normalization sees both kinds. */
import { argmax, concat, crossEntropy, logSoftmax, softmax, split, stopGradient, type Tensor } from "manabi";
import type { Layer } from "manabi/nn";

/** What a loss is made of. */
export interface Step {
  readonly model: Layer;
  /** Running average of the model, where the method has one. */
  readonly teacher: Layer | null;
  readonly x: Tensor; // [b, c, h, w]
  readonly labels: Tensor; // [b]
  /** Views of the same images, [u, c, h, w]. */
  readonly first: Tensor;
  readonly second: Tensor;
  /** Rises from 0 to 1 in the first part of the training. */
  readonly ramp: Tensor;
  /** Factor of the loss without labels. */
  readonly weight: number;
  /** Probability from which a prediction counts as a label. */
  readonly threshold: number;
}

export interface Method {
  readonly title: string;
  readonly paper: string;
  /** How the two views of an image without label are distorted; null: none are used. */
  readonly views: readonly ["weak", "weak" | "strong"] | null;
  readonly hasTeacher: boolean;
  loss(step: Step): Tensor;
}

/** Logits of the images with labels, and of each view. */
function logitsOf(model: Layer, ...parts: readonly Tensor[]): Tensor[] {
  const sizes = parts.map(({ shape }) => shape[0]);
  return split(model.forward(concat(parts, 0)), sizes, 0);
}

/** Mean over images of the squared distance of two distributions. */
const distance = (p: Tensor, q: Tensor): Tensor => p.sub(q).square().mean();

export const methods = {
  supervised: {
    title: "labels alone",
    paper: "the baseline",
    views: null,
    hasTeacher: false,
    loss: ({ model, x, labels }) => crossEntropy(model.forward(x), labels),
  },
  entropy: {
    title: "entropy minimization",
    paper: "Grandvalet and Bengio 2004",
    views: ["weak", "weak"],
    hasTeacher: false,
    loss({ model, x, labels, first, ramp, weight }) {
      const [seen, unseen] = logitsOf(model, x, first);
      const entropy = softmax(unseen).mul(logSoftmax(unseen)).sum(1).neg().mean();
      return crossEntropy(seen, labels).add(entropy.mul(ramp).mul(weight));
    },
  },
  "pseudo-label": {
    title: "pseudo-labels",
    paper: "Lee 2013",
    views: ["weak", "weak"],
    hasTeacher: false,
    loss({ model, x, labels, first, ramp, weight }) {
      const [seen, unseen] = logitsOf(model, x, first);
      const guessed = crossEntropy(unseen, argmax(stopGradient(unseen), 1));
      return crossEntropy(seen, labels).add(guessed.mul(ramp).mul(weight));
    },
  },
  "pi-model": {
    title: "Π-model",
    paper: "Laine and Aila 2016",
    views: ["weak", "weak"],
    hasTeacher: false,
    loss({ model, x, labels, first, second, ramp, weight }) {
      const [seen, one, other] = logitsOf(model, x, first, second);
      const apart = distance(softmax(one), softmax(other));
      return crossEntropy(seen, labels).add(apart.mul(ramp).mul(10 * weight));
    },
  },
  "mean-teacher": {
    title: "mean teacher",
    paper: "Tarvainen and Valpola 2017",
    views: ["weak", "weak"],
    hasTeacher: true,
    loss({ model, teacher, x, labels, first, second, ramp, weight }) {
      const [seen, student] = logitsOf(model, x, first);
      const wise = stopGradient((teacher as Layer).forward(second));
      const apart = distance(softmax(student), softmax(wise));
      return crossEntropy(seen, labels).add(apart.mul(ramp).mul(10 * weight));
    },
  },
  fixmatch: {
    title: "FixMatch",
    paper: "Sohn et al. 2020",
    views: ["weak", "strong"],
    hasTeacher: false,
    loss({ model, x, labels, first, second, weight, threshold }) {
      const [seen, weak, strong] = logitsOf(model, x, first, second);
      const belief = softmax(stopGradient(weak));
      const sure = belief.max(1).ge(threshold).cast("f32");
      const guessed = crossEntropy(strong, argmax(belief, 1), { reduction: "none" });
      return crossEntropy(seen, labels).add(guessed.mul(sure).mean().mul(weight));
    },
  },
} as const satisfies Record<string, Method>;

/** Methods that train one model in one go. */
export type MethodName = keyof typeof methods;
