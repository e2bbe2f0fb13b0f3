/** An error the user can act on: it names the value, the rule and the cure. */
export class ManabiError extends Error {
  override name = "ManabiError";
}

/** A tensor operation called with shapes, dtypes or axes it does not take. */
export class ShapeError extends ManabiError {
  override name = "ShapeError";
}

/** A file that is truncated, corrupt or hostile. */
export class FormatError extends ManabiError {
  override name = "FormatError";
}

export const showShape = (shape: readonly number[]): string => `[${shape.join(",")}]`;

/** The `limit` names nearest to `name` by edit distance, nearest first. */
export function nearest(name: string, candidates: Iterable<string>, limit = 3): string[] {
  const scored = [...candidates].map((c) => [editDistance(name.toLowerCase(), c.toLowerCase()), c] as const);
  return scored
    .filter(([d, c]) => d <= Math.max(2, Math.floor(Math.max(name.length, c.length) / 2)))
    .sort((a, b) => a[0] - b[0] || a[1].localeCompare(b[1]))
    .slice(0, limit)
    .map(([, c]) => c);
}

/** "unknown model "resnet81"; did you mean resnet18, resnet101?" */
export function unknownName(kind: string, name: string, candidates: Iterable<string>): ManabiError {
  const all = [...candidates];
  const near = nearest(name, all);
  const hint = near.length ? `did you mean ${near.join(", ")}?` : `known: ${all.join(", ")}`;
  return new ManabiError(`unknown ${kind} "${name}"; ${hint}`);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}
