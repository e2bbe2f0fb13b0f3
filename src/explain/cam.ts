import { ManabiError } from "../core/errors.ts";
import type { Node } from "../graph/node.ts";
import type { Layer } from "../nn/container.ts";
import { intercept } from "../nn/intercept.ts";
import { Linear } from "../nn/linear.ts";
import { headOf } from "../nn/stages.ts";
import { jit } from "../ops/jit.ts";
import { Tensor } from "../ops/tensor.ts";
import { type BatchOptions, batchSizeOf, checkImages, countOf, rows, spans } from "./batches.ts";
import { type ClassMaps, joinMaps, readMaps, scaledUp } from "./class-maps.ts";
import { type Answer, answer, evaluating, question, readAnswer, remembered } from "./scalar.ts";
import { findLayer } from "./tap.ts";

export interface CamOptions extends BatchOptions {
  /** A class, or one for each image; default: for each its class of the highest score. */
  readonly target?: number | readonly number[];
}

/**
 * Where a network with global average pooling before a linear head sees a class c: sum_k w_ck a_k of the feature maps
 * that are averaged, with the head's weights (Zhou et al. 2016, arXiv:1512.04150). Images [n, c, h, w] -> a map for each,
 * whose mean is the logit without its bias; it keeps its sign. Grad-CAM at that layer is its positive part over the
 * number of places. Throws for other networks.
 */
export async function cam(model: Layer, images: Tensor, options: CamOptions = {}): Promise<ClassMaps> {
  checkImages(images);
  const count = countOf(images);
  const asked = question(options.target, count);
  const program = remembered(model, null, "cam", () => camProgram(model));
  const parts: ClassMaps[] = [];
  for (const [from, to] of spans(count, batchSizeOf(options, images))) {
    const { small, large, astray, ...given } = evaluating(model, () =>
      program(rows(images, from, to), rows(asked.classes, from, to)),
    );
    const explained = await readAnswer(given, asked, from);
    if (await astray.item()) throw notPooled(model);
    parts.push({ ...explained, layer: null, ...(await readMaps(small, large, from)) });
  }
  return joinMaps(parts);
}

type CamProgram = Answer & {
  readonly small: Tensor;
  readonly large: Tensor;
  /** Whether the means of the feature maps are not what the head is given: bool []. */
  readonly astray: Tensor;
};

const camProgram = (model: Layer) =>
  jit((x: Tensor, classes: Tensor): CamProgram => {
    const { head, means, scores } = runHead(model, x);
    const given = answer(scores, x.shape[0], { read: null, classes });
    const maps = averaged(means);
    if (!maps) throw notPooled(model);
    const error = maps.mean([2, 3]).sub(means).abs().max();
    const weights = head.weight.take(given.classes); // [n, c]
    const sum = maps.mul(weights.reshape([...weights.shape, 1, 1])).sum(1, { keepDims: true });
    return { ...given, ...scaledUp(sum, x), astray: error.gt(means.abs().max().mul(1e-3)) };
  });

/** The linear head, what it is given, and what it returns, which must be what the model returns. */
function runHead(model: Layer, x: Tensor): { head: Linear; means: Tensor; scores: Tensor } {
  const head = findLayer(model, headOf(model));
  if (!(head instanceof Linear)) throw notPooled(model);
  const given: unknown[] = [];
  let made: unknown;
  const note = (_: unknown, run: () => unknown, [first]: readonly unknown[]) => {
    given.push(first);
    made = run();
    return made;
  };
  const scores = intercept([head], note, () => model.forward(x));
  const [means] = given;
  if (given.length !== 1 || made !== scores || !(means instanceof Tensor) || means.rank !== 2) throw notPooled(model);
  return { head, means, scores };
}

/** Operations between maps and their means. */
const averaging: readonly string[] = ["reshape", "cast", "sum", "mul", "div", "slice", "stopGradient"];

/** The maps [n, c, h, w] of which `means` [n, c] may be the means: what the nearest sum is taken of. */
function averaged(means: Tensor): Tensor | null {
  let node: Node = means.node;
  let summed = false;
  while (!(summed && node.shape.length === 4)) {
    if (!averaging.includes(node.prim.name)) return null;
    summed ||= node.prim.name === "sum";
    node = node.inputs[0];
  }
  const [n, c] = means.shape;
  return node.shape[0] === n && node.shape[1] === c ? new Tensor(node) : null;
}

const notPooled = (model: Layer): ManabiError =>
  new ManabiError(
    `${model.constructor.name}: class activation maps are for networks whose logits are one linear layer of the means of feature maps; use gradCam, which is for any network`,
  );
