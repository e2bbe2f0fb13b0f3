/** Image pre-processing of the general classifier, and weights of its classes. */
import { type Tensor, tensor } from "manabi";
import {
  type BatchTransform,
  cutmix,
  type Dataset,
  horizontalFlip,
  mixup,
  oneOf,
  randAugment,
  randomCrop,
  randomResizedCrop,
  type Transform,
} from "manabi/data";

/** The images that the model takes. */
export interface Frame {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Brings images to this size; nothing where they have it. */
  readonly fit: readonly Transform[];
}

/** Mean and deviation of the pixels of ordinary photos (of ImageNet). */
export const photos = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** Pictures with sides below this are small: shifted by a few pixels, not cut, and seen by a model without early strides. */
export const smallSide = 64;

/** What is done at random to training images, before they are scaled. */
export const augmentations: Record<"none" | "light" | "strong", (frame: Frame) => Transform[]> = {
  none: ({ fit }) => [...fit],
  light: (frame) => [...placed(frame, 0.35), ...mirrored(frame)],
  strong: (frame) => [...placed(frame, 0.08), ...mirrored(frame), randAugment()],
};

/** A window at a random place: small pictures shifted by an eighth of their side, others cut from `least` of the area. */
const placed = ({ height, width, fit }: Frame, least: number): Transform[] =>
  Math.max(height, width) < smallSide
    ? [...fit, randomCrop([height, width], { padding: Math.round(Math.min(height, width) / 8) })]
    : [randomResizedCrop([height, width], { scale: [least, 1] })];

/** Photos mean the same in a mirror; drawn characters do not. */
const mirrored = ({ channels }: Frame): Transform[] => (channels === 3 ? [horizontalFlip()] : []);

export const mixes: Record<"none" | "mixup" | "cutmix" | "both", readonly BatchTransform[]> = {
  none: [],
  mixup: [mixup(0.2)],
  cutmix: [cutmix()],
  both: [oneOf(mixup(0.2), cutmix())],
};

/** Weights that make every class count the same in the loss, with mean 1 over the images. */
export function balance({ labels, classes, length }: Dataset): Tensor {
  const counts = new Float32Array(classes.length);
  for (const label of labels ?? []) counts[label]++;
  return tensor(counts.map((count) => (count ? length / (classes.length * count) : 0)));
}
