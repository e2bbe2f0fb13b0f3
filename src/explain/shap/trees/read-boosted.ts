import { ManabiError } from "../../../core/errors.ts";
import type { TreeEnsemble } from "./ensemble.ts";
import { atOutput, below, flattenTree, type NestedNode, treesFromArrays } from "./read-arrays.ts";

interface XgboostNode {
  readonly nodeid: number;
  readonly leaf?: number;
  readonly split?: string;
  readonly split_condition?: number | readonly number[];
  readonly yes?: number;
  readonly no?: number;
  readonly missing?: number;
  readonly cover?: number;
  readonly children?: readonly XgboostNode[];
}

export interface XgboostOptions {
  /** Names of the columns, in order, as the booster knows them; left out, they are f0, f1, ... */
  readonly names?: readonly string[];
  /** Columns of an example, where there are no names. */
  readonly features?: number;
  /** Classes of multi:softprob and multi:softmax; trees belong to them in turn. */
  readonly outputs?: number;
  /** The score before any tree, before the logistic function: `base_score`'s logit for binary:logistic. */
  readonly baseScore?: number | readonly number[];
}

/**
 * Trees of XGBoost from `booster.get_dump(dump_format="json", with_stats=True)`, each string parsed. The outputs are
 * margins. Throws for splits on categories.
 */
export function treesFromXgboost(dump: readonly object[], options: XgboostOptions): TreeEnsemble {
  const { names, outputs = 1, baseScore = 0 } = options;
  const features = options.features ?? names?.length;
  if (features === undefined)
    throw new ManabiError("treesFromXgboost: give names or the number of features; a dump does not hold it");
  const columnOf = (split: string): number =>
    names ? names.indexOf(split) : Number(/^f(\d+)$/.exec(split)?.[1] ?? Number.NaN);
  const read = (node: XgboostNode, output: number): NestedNode<XgboostNode> => {
    const { nodeid, leaf, split = "", split_condition: threshold, yes, no, missing, children, cover } = node;
    if (leaf !== undefined) return { value: atOutput(leaf, output, outputs), cover };
    const [left, right] = [yes, no].map((id) => children?.find((child) => child.nodeid === id));
    const feature = columnOf(split);
    if (typeof threshold !== "number" || !left || !right)
      throw new ManabiError(
        `treesFromXgboost: node ${nodeid} splits "${split}" by ${JSON.stringify(threshold)}; only splits of numbers by a threshold are read, so code categories as numbers (one-hot) in training`,
      );
    if (!(feature >= 0))
      throw new ManabiError(
        `treesFromXgboost: node ${nodeid} splits "${split}", which is none of the ${features} features; give the booster's feature_names as names`,
      );
    return {
      feature,
      threshold: below(Math.fround(threshold)),
      missingLeft: missing === yes,
      left,
      right,
      cover,
    };
  };
  const trees = (dump as readonly XgboostNode[]).map((root, i) =>
    flattenTree(root, outputs, (node: XgboostNode) => read(node, i % outputs)),
  );
  return treesFromArrays({
    trees,
    features,
    outputs,
    offset: typeof baseScore === "number" ? Array.from({ length: outputs }, () => baseScore) : baseScore,
    roundsToFloat32: true,
    names,
  });
}

interface LightgbmNode {
  readonly split_feature?: number;
  readonly threshold?: number | string;
  readonly decision_type?: string;
  readonly default_left?: boolean;
  readonly missing_type?: string;
  readonly left_child?: LightgbmNode;
  readonly right_child?: LightgbmNode;
  readonly internal_count?: number;
  readonly leaf_value?: number;
  readonly leaf_count?: number;
}

interface LightgbmModel {
  readonly num_tree_per_iteration: number;
  readonly max_feature_idx: number;
  readonly feature_names: readonly string[];
  readonly average_output?: boolean;
  readonly tree_info: readonly { readonly tree_structure: LightgbmNode }[];
}

/** Trees of LightGBM from `booster.dump_model()` as JSON. The outputs are raw scores. Throws for splits on categories and
 *  for models that take 0 as missing. */
export function treesFromLightgbm(model: object): TreeEnsemble {
  const source = model as LightgbmModel;
  const outputs = source.num_tree_per_iteration;
  const read = (node: LightgbmNode, output: number): NestedNode<LightgbmNode> => {
    const { leaf_value: leaf, left_child: left, right_child: right, threshold, missing_type: missing } = node;
    if (leaf !== undefined) return { value: atOutput(leaf, output, outputs), cover: node.leaf_count ?? Number.NaN };
    if (node.decision_type !== "<=" || typeof threshold !== "number" || missing === "Zero" || !left || !right)
      throw new ManabiError(
        `treesFromLightgbm: a node splits column ${node.split_feature} by ${node.decision_type} ${threshold} with missing type ${missing}; only splits of numbers by a threshold are read, so code categories as numbers (one-hot) and leave zero_as_missing off in training`,
      );
    return {
      feature: node.split_feature ?? -1,
      threshold,
      // Without missing values in training, NaN is read as 0.
      missingLeft: missing === "NaN" ? node.default_left === true : threshold >= 0,
      left,
      right,
      cover: node.internal_count ?? Number.NaN,
    };
  };
  const trees = source.tree_info.map(({ tree_structure }, i) =>
    flattenTree(tree_structure, outputs, (node: LightgbmNode) => read(node, i % outputs)),
  );
  return treesFromArrays({
    trees,
    features: source.max_feature_idx + 1,
    outputs,
    scale: source.average_output ? outputs / trees.length : 1,
    names: source.feature_names,
  });
}
