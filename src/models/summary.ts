import { planMemory } from "../compiler/plan.ts";
import { schedule } from "../compiler/schedule.ts";
import { simplify } from "../compiler/simplify.ts";
import { byteSize } from "../core/dtype.ts";
import { showShape } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { sizeOf } from "../core/shape.ts";
import { currentId, type Node, reachable } from "../graph/node.ts";
import { type Trace, withTrace } from "../graph/variable.ts";
import { type DType, Tensor } from "../index.ts";
import { inEvalMode, type Layer, type Module } from "../nn/index.ts";
import { attentionSizes } from "../primitives/attention.ts";
import type { ConvAttrs } from "../primitives/contract.ts";
import type { ScanAttrs } from "../primitives/control.ts";
import { input } from "../primitives/leaf.ts";

/** One module that was called, without the modules inside of it. */
export interface SummaryRow {
  /** Path in the model, for example "layer1.0.conv1"; "" is the model itself. */
  readonly name: string;
  /** Class, for example "Conv2d". */
  readonly kind: string;
  /** Shape of what it last returned. */
  readonly output: Shape;
  readonly parameters: number;
  /** Multiply-adds of convolutions and matrix products, which is what papers count as FLOPs. */
  readonly flops: number;
}

export interface Summary {
  readonly rows: readonly SummaryRow[];
  readonly output: Shape;
  readonly parameters: number;
  readonly flops: number;
  /** Bytes of parameters and buffers. */
  readonly weightBytes: number;
  /** Most bytes of values between the layers that are alive at the same time. */
  readonly activationBytes: number;
}

/** One call of a module: the ids of the nodes that it made are in (from, to]. */
interface Call {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly output: Shape;
}

/**
 * Parameters, multiply-adds and output shapes of every module in evaluation mode, for an input of `shape` (the batch
 * included). It records the forward pass and computes nothing, so a model without values will do.
 */
export function summarize(model: Layer, shape: Shape, dtype: DType = "f32"): Summary {
  const modules = [...model.namedModules()];
  const calls: Call[] = [];
  const x = new Tensor(input({ shape, dtype }));
  const out = inEvalMode(model, () => watched(modules, calls, () => model.forward(x)));

  const flops = new Map<string, number>();
  for (const node of reachable([out.node])) {
    const work = multiplyAdds(node);
    // Inner calls end first, so the first match is the innermost.
    const { name } = calls.find(({ from, to }) => node.id > from && node.id <= to) ?? { name: "" };
    if (work) flops.set(name, (flops.get(name) ?? 0) + work);
  }
  const rows = modules.flatMap(([name, module]): SummaryRow[] => {
    const call = calls.findLast((c) => c.name === name);
    const parameters = ownParameters(module);
    const work = flops.get(name) ?? 0;
    const leaf = module.children().next().done;
    if (!call || (!leaf && parameters === 0 && work === 0)) return [];
    return [{ name, kind: module.constructor.name, output: call.output, parameters, flops: work }];
  });
  return {
    rows,
    output: out.shape,
    parameters: model.parameterCount,
    flops: [...flops.values()].reduce((a, b) => a + b, 0),
    weightBytes: [...model.variables().values()].reduce((n, v) => n + v.size * byteSize(v.dtype), 0),
    activationBytes: activationBytes(model, x, out),
  };
}

/** What the compiler plans for the values between input and output. */
function activationBytes(model: Module, x: Tensor, out: Tensor): number {
  const inputs = [x.node, ...[...model.variables().values()].map((v) => v.cell.node)];
  const { instructions } = schedule(simplify({ inputs, outputs: [out.node], updates: [] }));
  return planMemory(instructions).bytes;
}

const ownParameters = (module: Module): number =>
  module.parameterCount - [...module.children()].reduce((n, [, child]) => n + child.parameterCount, 0);

/** Multiply-adds of one node. */
function multiplyAdds({ prim, inputs, attrs, shape }: Node): number {
  switch (prim.name) {
    case "dot":
      return sizeOf(shape) * (inputs[0].shape.at(-1) as number);
    case "conv":
      return sizeOf(shape) * sizeOf(inputs[1].shape.slice(1));
    case "convInputGrad": // transposed convolution
      return sizeOf(inputs[0].shape) * sizeOf(inputs[1].shape.slice(1));
    case "attention": {
      const { batch, tq, tk, d, dv } = attentionSizes("attention", inputs);
      return sizeOf(batch) * tq * tk * (d + dv);
    }
    case "convWeightGrad":
      return sizeOf(inputs[1].shape) * (inputs[0].shape[1] / (attrs as ConvAttrs).groups) * sizeOf(shape.slice(2));
    case "scan": {
      const { body, length } = attrs as ScanAttrs;
      return length * reachable(body.outputs).reduce((n, node) => n + multiplyAdds(node), 0);
    }
    default:
      return 0;
  }
}

/** `fn`, with every call of a module's `forward` noted in `calls`. */
function watched<T>(modules: readonly (readonly [string, Module])[], calls: Call[], fn: () => T): T {
  for (const [name, module] of modules) {
    const forward = module.forward as (...args: unknown[]) => unknown;
    Object.defineProperty(module, "forward", {
      configurable: true,
      value: (...args: unknown[]) => {
        const from = currentId();
        const result = forward.apply(module, args);
        calls.push({ name, from, to: currentId(), output: firstTensor(result)?.shape ?? [] });
        return result;
      },
    });
  }
  try {
    return withTrace(dryRun(), fn);
  } finally {
    for (const [, module] of modules) Reflect.deleteProperty(module, "forward");
  }
}

/** The first tensor of what a module returned. */
function firstTensor(result: unknown): Tensor | undefined {
  if (result instanceof Tensor) return result;
  return Array.isArray(result) ? firstTensor(result[0]) : undefined;
}

/** A recording that reads variables as they are and forgets what is assigned. */
const dryRun = (): Trace => ({
  read: (cell) => cell.node,
  write() {},
  feed: (spec) => input(spec),
  guard() {},
});

/** The summary as a table of text. */
export function formatSummary(name: string, { rows, output, parameters, flops }: Summary): string {
  const lines = [
    ["layer", "kind", "output", "parameters", "FLOPs"],
    ...rows.map((r) => [r.name || name, r.kind, showShape(r.output), count(r.parameters), count(r.flops)]),
    ["total", "", showShape(output), count(parameters), count(flops)],
  ];
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const pad = (cell: string, i: number) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}

const count = (n: number): string => (n === 0 ? "" : n.toLocaleString("en-US"));
