import { ManabiError } from "../../../core/errors.ts";

/** A decision tree as arrays over its nodes, the root first. */
export interface Tree {
  /** Where an example goes next: [nodes], -1 at a leaf. */
  readonly left: Int32Array<ArrayBuffer>;
  readonly right: Int32Array<ArrayBuffer>;
  /** Column that is asked for: [nodes]; nothing at a leaf. */
  readonly feature: Int32Array<ArrayBuffer>;
  /** Left if the column is at most this: [nodes]. */
  readonly threshold: Float64Array<ArrayBuffer>;
  /** 1 where NaN goes left: [nodes]. */
  readonly missingLeft: Uint8Array<ArrayBuffer>;
  /** What a leaf predicts: [nodes, outputs]. */
  readonly value: Float64Array<ArrayBuffer>;
  /** Training examples that came by, or their weight: [nodes]. NaN where unknown; `withCover` counts them. */
  readonly cover: Float64Array<ArrayBuffer>;
}

/** A sum of trees: offset + scale * the sum of what the leaves predict. */
export interface TreeEnsemble {
  readonly trees: readonly Tree[];
  /** Columns of an example. */
  readonly features: number;
  readonly outputs: number;
  /** 1 for boosting, 1 / trees for the mean of a forest. */
  readonly scale: number;
  /** [outputs] */
  readonly offset: Float64Array<ArrayBuffer>;
  readonly names?: readonly string[];
  /** Whether the library rounds examples to f32 before it compares them, as scikit-learn and XGBoost do. */
  readonly roundsToFloat32?: boolean;
}

/** Throws unless every tree of the ensemble is a tree: children that exist and come later, columns that exist, values that
 *  are numbers. */
export function checkEnsemble(ensemble: TreeEnsemble): TreeEnsemble {
  const { trees, features, outputs, offset } = ensemble;
  const fail = (what: string) => {
    throw new ManabiError(`trees: ${what}`);
  };
  if (trees.length === 0) fail("the ensemble has none; train the model first");
  if (offset.length !== outputs) fail(`offset has ${offset.length} numbers for ${outputs} outputs`);
  for (const [t, tree] of trees.entries()) {
    const nodes = tree.left.length;
    const lengths = [tree.right, tree.feature, tree.threshold, tree.missingLeft, tree.cover].map((a) => a.length);
    if (nodes === 0 || lengths.some((n) => n !== nodes) || tree.value.length !== nodes * outputs)
      fail(`the arrays of tree ${t} must have an entry for each of its ${nodes} nodes, value ${outputs} for each`);
    const parents = new Uint8Array(nodes);
    for (let n = 0; n < nodes; n++) {
      if (isLeaf(tree, n)) {
        if (tree.value.subarray(n * outputs, (n + 1) * outputs).some((v) => !Number.isFinite(v)))
          fail(`leaf ${n} of tree ${t} predicts ${tree.value[n * outputs]}; leaves hold finite numbers`);
        continue;
      }
      for (const child of [tree.left[n], tree.right[n]])
        if (!(child > n && child < nodes) || parents[child]++)
          fail(`node ${n} of tree ${t} has the child ${child}; children come after their parent and have only one`);
      if (!(tree.feature[n] >= 0 && tree.feature[n] < features))
        fail(`node ${n} of tree ${t} asks for column ${tree.feature[n]}; there are ${features}`);
    }
  }
  return ensemble;
}

export const isLeaf = (tree: Tree, node: number): boolean => tree.left[node] < 0;

/** Where `row` goes from an inner node. */
export function childOf(tree: Tree, node: number, row: ArrayLike<number>): number {
  const value = row[tree.feature[node]];
  const goesLeft = Number.isNaN(value) ? tree.missingLeft[node] === 1 : value <= tree.threshold[node];
  return goesLeft ? tree.left[node] : tree.right[node];
}

/** Rows as the ensemble compares them: [n, features], as f32 where its library rounds. Throws where rows are not as long
 *  as it has features. */
export function readRows(
  method: string,
  ensemble: TreeEnsemble,
  rows: readonly ArrayLike<number>[],
): Float64Array<ArrayBuffer>[] {
  return rows.map((row, i) => {
    if (row.length !== ensemble.features)
      throw new ManabiError(
        `${method}: row ${i} has ${row.length} numbers, the trees ask for ${ensemble.features} features`,
      );
    const own = Float64Array.from(row);
    return ensemble.roundsToFloat32 ? own.map(Math.fround) : own;
  });
}

/** What the ensemble predicts: [n, outputs]. */
export function predictTrees(ensemble: TreeEnsemble, rows: readonly ArrayLike<number>[]): Float64Array<ArrayBuffer> {
  const { outputs, offset, scale } = ensemble;
  const predictions = new Float64Array(rows.length * outputs);
  for (const [i, row] of readRows("predictTrees", ensemble, rows).entries()) {
    const out = predictions.subarray(i * outputs, (i + 1) * outputs);
    for (const tree of ensemble.trees) {
      let node = 0;
      while (!isLeaf(tree, node)) node = childOf(tree, node, row);
      for (let k = 0; k < outputs; k++) out[k] += scale * tree.value[node * outputs + k];
    }
    for (let k = 0; k < outputs; k++) out[k] += offset[k];
  }
  return predictions;
}

/** The ensemble with covers counted on `rows`: its training set, for libraries that do not store how many examples
 *  passed each node. */
export function withCover(ensemble: TreeEnsemble, rows: readonly ArrayLike<number>[]): TreeEnsemble {
  const read = readRows("withCover", ensemble, rows);
  const trees = ensemble.trees.map((tree) => {
    const cover = new Float64Array(tree.left.length);
    for (const row of read) {
      let node = 0;
      cover[0]++;
      while (!isLeaf(tree, node)) {
        node = childOf(tree, node, row);
        cover[node]++;
      }
    }
    return { ...tree, cover };
  });
  return { ...ensemble, trees };
}
