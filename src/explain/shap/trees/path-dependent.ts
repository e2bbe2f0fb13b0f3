import { ManabiError } from "../../../core/errors.ts";
import { childOf, isLeaf, type Tree } from "./ensemble.ts";

/** Throws where a tree does not say how many examples passed its nodes. */
export function checkCover(trees: readonly Tree[]): void {
  for (const [t, tree] of trees.entries())
    for (let n = 0; n < tree.left.length; n++)
      if (!isLeaf(tree, n) && !(tree.cover[n] > 0 && tree.cover[tree.left[n]] >= 0 && tree.cover[tree.right[n]] >= 0))
        throw new ManabiError(
          `treeShap: the cover of node ${n} of tree ${t} is ${tree.cover[n]}, so it is unknown how many examples go left and right; count them with withCover(ensemble, training rows), or give a background`,
        );
}

/** The mean of what the leaves predict, weighted by cover, added to `out` [outputs]. */
export function addMeanValue(tree: Tree, outputs: number, out: Float64Array): void {
  const visit = (node: number, share: number): void => {
    if (isLeaf(tree, node)) {
      for (let k = 0; k < outputs; k++) out[k] += share * tree.value[node * outputs + k];
      return;
    }
    for (const child of [tree.left[node], tree.right[node]])
      visit(child, (share * tree.cover[child]) / tree.cover[node]);
  };
  visit(0, 1);
}

/** The distinct features on the way to a node, and how coalitions pass them; grows and shrinks with the way. */
interface Path {
  /** [length]; place 0 stands for no feature. */
  readonly feature: Int32Array;
  /** Share of examples that go this way where the feature is absent. */
  readonly zero: Float64Array;
  /** 1 where the explained example goes this way, else 0. */
  readonly one: Float64Array;
  /** Weight of coalitions by how many of the features they hold. */
  readonly weight: Float64Array;
}

/**
 * Values of one tree for one example, added to `out` [outputs, features] times `scale`, in O(leaves depth^2): an absent
 * feature sends the example down both ways, by cover (Lundberg et al. 2018, algorithm 2).
 */
export function addPathDependent(
  tree: Tree,
  row: ArrayLike<number>,
  outputs: number,
  scale: number,
  out: Float64Array,
): void {
  const features = out.length / outputs;
  const paths = Array.from({ length: depthOf(tree) + 2 }, (_, depth) => newPath(depth + 2));
  descend(0, 0, 0, 1, 1, -1);

  /** `length` features have been on the way to `node`; the last split, on `feature`, sends the shares `zero` and `one`
   *  of the coalitions here. */
  function descend(node: number, level: number, length: number, zero: number, one: number, feature: number): void {
    const path = paths[level];
    extend(path, length, zero, one, feature);
    if (isLeaf(tree, node)) {
      for (let i = 1; i <= length; i++) {
        const weight = scale * unwoundSum(path, length, i) * (path.one[i] - path.zero[i]);
        for (let k = 0; k < outputs; k++)
          out[k * features + path.feature[i]] += weight * tree.value[node * outputs + k];
      }
      return;
    }
    const split = tree.feature[node];
    // A feature that was asked for before takes its shares along and leaves its place.
    let [zeroBefore, oneBefore, count] = [1, 1, length];
    for (let i = 1; i <= length; i++)
      if (path.feature[i] === split) {
        [zeroBefore, oneBefore] = [path.zero[i], path.one[i]];
        unwind(path, length, i);
        count--;
        break;
      }
    const hot = childOf(tree, node, row);
    for (const child of [tree.left[node], tree.right[node]]) {
      const zeroHere = (zeroBefore * tree.cover[child]) / tree.cover[node];
      const oneHere = child === hot ? oneBefore : 0;
      if (zeroHere === 0 && oneHere === 0) continue; // no coalition comes here
      copyPath(path, paths[level + 1], count + 1);
      descend(child, level + 1, count + 1, zeroHere, oneHere, split);
    }
  }
}

const newPath = (size: number): Path => ({
  feature: new Int32Array(size),
  zero: new Float64Array(size),
  one: new Float64Array(size),
  weight: new Float64Array(size),
});

function copyPath(from: Path, to: Path, size: number): void {
  for (let i = 0; i < size; i++) {
    to.feature[i] = from.feature[i];
    to.zero[i] = from.zero[i];
    to.one[i] = from.one[i];
    to.weight[i] = from.weight[i];
  }
}

/** Puts a feature at place `at`. */
function extend(path: Path, at: number, zero: number, one: number, feature: number): void {
  path.feature[at] = feature;
  path.zero[at] = zero;
  path.one[at] = one;
  path.weight[at] = at === 0 ? 1 : 0;
  for (let i = at - 1; i >= 0; i--) {
    path.weight[i + 1] += (one * path.weight[i] * (i + 1)) / (at + 1);
    path.weight[i] = (zero * path.weight[i] * (at - i)) / (at + 1);
  }
}

/** Takes the feature at place `i` out again; the last is at `last`. */
function unwind(path: Path, last: number, i: number): void {
  const [one, zero] = [path.one[i], path.zero[i]];
  let next = path.weight[last];
  for (let j = last - 1; j >= 0; j--) {
    if (one !== 0) {
      const held = path.weight[j];
      path.weight[j] = (next * (last + 1)) / ((j + 1) * one);
      next = held - (path.weight[j] * zero * (last - j)) / (last + 1);
    } else path.weight[j] = (path.weight[j] * (last + 1)) / (zero * (last - j));
  }
  for (let j = i; j < last; j++) {
    path.feature[j] = path.feature[j + 1];
    path.zero[j] = path.zero[j + 1];
    path.one[j] = path.one[j + 1];
  }
}

/** The sum of weights that `unwind` at place `i` would leave. */
function unwoundSum(path: Path, last: number, i: number): number {
  const [one, zero] = [path.one[i], path.zero[i]];
  let next = path.weight[last];
  let sum = 0;
  for (let j = last - 1; j >= 0; j--) {
    if (one !== 0) {
      const own = (next * (last + 1)) / ((j + 1) * one);
      sum += own;
      next = path.weight[j] - (own * zero * (last - j)) / (last + 1);
    } else if (zero !== 0) sum += (path.weight[j] * (last + 1)) / (zero * (last - j));
  }
  return sum;
}

function depthOf(tree: Tree): number {
  const depths = new Int32Array(tree.left.length);
  let deepest = 0;
  for (let n = 0; n < depths.length; n++) {
    deepest = Math.max(deepest, depths[n]);
    if (!isLeaf(tree, n)) for (const child of [tree.left[n], tree.right[n]]) depths[child] = depths[n] + 1;
  }
  return deepest;
}
