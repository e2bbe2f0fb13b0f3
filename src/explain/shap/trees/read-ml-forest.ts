import { ManabiError } from "../../../core/errors.ts";
import type { TreeEnsemble } from "./ensemble.ts";
import { below, flattenTree, type TreeArrays, treesFromArrays } from "./read-arrays.ts";

/** A node as `ml-cart` keeps it: `splitColumn < splitValue` goes left; a leaf holds a mean or a row of class shares. */
interface CartNode {
  readonly splitColumn?: number;
  readonly splitValue?: number;
  readonly left?: CartNode;
  readonly right?: CartNode;
  readonly distribution?: number | readonly (readonly number[])[];
}

interface CartTree {
  readonly name: "DTClassifier" | "DTRegression";
  readonly root: CartNode;
}

interface Forest {
  readonly name: "RFClassifier" | "RFRegression";
  readonly selectionMethod?: string;
  readonly baseModel: { readonly indexes: readonly (readonly number[])[]; readonly estimators: readonly CartTree[] };
}

export interface MlForestOptions {
  /** Columns of an example; the model does not store them. */
  readonly features: number;
  readonly names?: readonly string[];
}

/**
 * Trees of `ml-random-forest` and `ml-cart` from what their `toJSON()` returns, or from that as parsed JSON. A regression
 * has one output; a tree classifier has the class shares of its leaves, a forest classifier the shares of its trees'
 * votes. The libraries do not store cover: count it with `withCover`, or give `treeShap` a background.
 */
export function treesFromMlForest(model: object, { features, names }: MlForestOptions): TreeEnsemble {
  const source = JSON.parse(JSON.stringify(model)) as CartTree | Forest;
  const isForest = "baseModel" in source;
  const estimators = isForest ? source.baseModel.estimators : [source];
  if (!estimators.every((tree) => tree.root))
    throw new ManabiError(
      "treesFromMlForest: there is no tree in it; pass model.toJSON() of a trained DecisionTree.. or RandomForest..",
    );
  if (isForest && source.name === "RFRegression" && (source.selectionMethod ?? "mean") !== "mean")
    throw new ManabiError(
      `treesFromMlForest: the forest predicts the ${source.selectionMethod} of its trees, which is no sum of trees; train it with selectionMethod "mean", or use kernelShap`,
    );
  const isClassifier = source.name === "RFClassifier" || source.name === "DTClassifier";
  const outputs = isClassifier ? Math.max(...estimators.map((tree) => classesOf(tree.root))) : 1;
  const trees = estimators.map(({ root }, i): TreeArrays => {
    const columns = isForest ? source.baseModel.indexes[i] : null;
    return flattenTree(root, outputs, (node: CartNode) => {
      const { left, right, distribution, splitColumn = 0, splitValue = 0 } = node;
      if (left && right)
        return { left, right, feature: columns ? columns[splitColumn] : splitColumn, threshold: below(splitValue) };
      if (typeof distribution === "number") return { value: [distribution] };
      const shares = distribution?.[0] ?? [];
      const vote = shares.indexOf(Math.max(...shares));
      return {
        value: Array.from({ length: outputs }, (_, k) => (isForest ? Number(k === vote) : (shares[k] ?? 0))),
      };
    });
  });
  return treesFromArrays({ trees, features, outputs, scale: 1 / trees.length, names });
}

/** The number of classes that the leaves below `node` know. */
function classesOf({ left, right, distribution }: CartNode): number {
  if (left && right) return Math.max(classesOf(left), classesOf(right));
  return typeof distribution === "object" ? distribution[0].length : 1;
}
