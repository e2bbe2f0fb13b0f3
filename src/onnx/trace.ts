import { type Node, reachable } from "../graph/node.ts";
import { type Cell, type Trace, withTrace } from "../graph/variable.ts";
import { type DType, ManabiError, type Shape, Tensor } from "../index.ts";
import { input } from "../primitives/leaf.ts";

/** An input of the exported model; a size given by a name may vary, the first one of the batch as a rule. */
export interface InputSpec {
  readonly shape: readonly (number | string)[];
  /** Default f32. */
  readonly dtype?: DType;
}

/** A function recorded on inputs of certain sizes. */
interface Recording {
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  /** Variables that are read, with their placeholders. */
  readonly cells: ReadonlyMap<Cell, Node>;
}

/** The same function recorded on two sizes of the axis that may vary. Where the two differ, there is that axis. */
export interface TracePair extends Recording {
  /** The name of the size that may vary; null where all are fixed. */
  readonly symbol: string | null;
  /** What that size is in the first recording. */
  readonly size: number;
  /** All nodes in order. */
  readonly nodes: readonly Node[];
  /** The node of the second recording. */
  twin(node: Node): Node;
}

/** Sizes that no layer is likely to have by itself, and of which none is a multiple of the other. */
const trialSizes = [5, 7] as const;

export type Forward = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

/** Records `forward`. Throws where its graph depends on the size that may vary in more than sizes. */
export function traceTwice(forward: Forward, specs: readonly InputSpec[]): TracePair {
  const symbols = new Set(specs.flatMap(({ shape }) => shape.filter((d) => typeof d === "string")));
  if (symbols.size > 1)
    throw new ManabiError(
      `exportOnnx: the sizes ${[...symbols].join(", ")} may vary; one is supported, fix the others`,
    );
  const [symbol = null] = symbols;
  const [first, second] = trialSizes.map((size) => record(forward, specs, size));
  // Inputs that nothing reads are part of the model, too.
  const [nodes, others] = [first, second].map(({ inputs, outputs }) => reachable([...inputs, ...outputs]));
  const twins = pairs(nodes, others, symbol);
  return {
    ...first,
    symbol,
    size: trialSizes[0],
    nodes,
    twin: (node) => twins.get(node) as Node,
  };
}

function record(forward: Forward, specs: readonly InputSpec[], size: number): Recording {
  const inputs = specs.map(({ shape, dtype = "f32" }) =>
    input({ shape: shape.map((d) => (typeof d === "string" ? size : d)), dtype }),
  );
  const cells = new Map<Cell, Node>();
  const trace: Trace = {
    read(cell) {
      const known = cells.get(cell) ?? input(cell.node);
      cells.set(cell, known);
      return known;
    },
    write() {
      throw new ManabiError("exportOnnx: the model assigns a variable in evaluation mode; an exported model cannot");
    },
    feed() {
      throw new ManabiError(
        "exportOnnx: the model takes values of the host, such as a schedule; an exported one cannot",
      );
    },
    guard() {},
  };
  const result = withTrace(trace, () => forward(...inputs.map((node) => new Tensor(node))));
  const tensors = result instanceof Tensor ? [result] : result;
  return { inputs, outputs: tensors.map(({ node }) => node), cells };
}

/** The nodes of both recordings side by side. */
function pairs(nodes: readonly Node[], others: readonly Node[], symbol: string | null): Map<Node, Node> {
  const twins = new Map(nodes.map((node, i) => [node, others[i]]));
  const alike =
    others.length === nodes.length &&
    nodes.every((node, i) => {
      const other = others[i];
      return (
        node.prim.name === other.prim.name &&
        node.dtype === other.dtype &&
        node.shape.length === other.shape.length &&
        node.inputs.every((x, k) => twins.get(x) === other.inputs[k])
      );
    });
  if (!alike)
    throw new ManabiError(
      `exportOnnx: the model computes differently for different sizes of "${symbol}"; give a number in its place`,
    );
  return twins;
}

/** A size of an axis: fixed, or so many times the size that may vary. */
export type Extent = { readonly fixed: number } | { readonly times: number };

/** The sizes of two shapes of one value, seen as one. */
export function extents({ size }: TracePair, shape: Shape, twin: Shape): Extent[] {
  return shape.map((d, i) => {
    if (d === twin[i]) return { fixed: d };
    const times = d / size;
    if (!Number.isInteger(times) || times * trialSizes[1] !== twin[i])
      throw new ManabiError(
        `exportOnnx: an axis is ${d} for ${size} inputs and ${twin[i]} for ${trialSizes[1]}; it must be a multiple`,
      );
    return { times };
  });
}
