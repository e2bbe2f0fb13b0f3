import { currentId, type Node, reachable } from "../graph/node.ts";

/** What one checkpointed call has built. */
export interface Region {
  readonly id: number;
}

const regions = new WeakMap<Node, Region>();

/** The checkpointed region that a node belongs to, the outermost one if they nest. */
export const regionOf = (node: Node): Region | undefined => regions.get(node);

/**
 * Runs `build` and marks the nodes it made: their values are not kept for the gradient but computed again, from the
 * region's inputs, when the gradient needs them (Chen et al. 2016, arXiv:1604.06174).
 */
export function checkpointed<T>(build: () => T, outputs: (result: T) => readonly Node[]): T {
  const start = currentId();
  const result = build();
  const region: Region = { id: start };
  for (const node of reachable(outputs(result), (n) => n.id > start)) regions.set(node, region);
  return result;
}
