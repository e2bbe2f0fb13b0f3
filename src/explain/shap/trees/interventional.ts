import { childOf, isLeaf, type Tree } from "./ensemble.ts";

/**
 * Values of one tree for one example against one row of the background, added to `out` [outputs, features] times
 * `scale`: an absent feature has the row's value. A leaf is reached by the coalitions that hold all features of one set
 * (where only the example goes that way) and none of another (where only the row does), so its share has a closed form;
 * one walk visits every node at most once (Lundberg et al. 2020, interventional TreeSHAP).
 */
export function addInterventional(
  tree: Tree,
  row: ArrayLike<number>,
  background: ArrayLike<number>,
  outputs: number,
  scale: number,
  out: Float64Array,
): void {
  const features = out.length / outputs;
  const held: number[] = [];
  const lacking: number[] = [];
  descend(0);

  function descend(node: number): void {
    if (isLeaf(tree, node)) {
      credit(node);
      return;
    }
    const own = childOf(tree, node, row);
    const other = childOf(tree, node, background);
    const feature = tree.feature[node];
    if (own === other || held.includes(feature)) descend(own);
    else if (lacking.includes(feature)) descend(other);
    else {
      held.push(feature);
      descend(own);
      held.pop();
      lacking.push(feature);
      descend(other);
      lacking.pop();
    }
  }

  function credit(leaf: number): void {
    const [a, b] = [held.length, lacking.length];
    const add = (feature: number, weight: number) => {
      for (let k = 0; k < outputs; k++) out[k * features + feature] += scale * weight * tree.value[leaf * outputs + k];
    };
    for (const feature of held) add(feature, orderShare(a - 1, b));
    for (const feature of lacking) add(feature, -orderShare(a, b - 1));
  }
}

/** Share of the orders of s + t + 1 features in which s given ones come before one of them and t after it. */
function orderShare(before: number, after: number): number {
  let share = 1 / (before + after + 1);
  for (let i = 1; i <= after; i++) share *= i / (before + i);
  return share;
}
