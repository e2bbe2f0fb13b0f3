import { evaluate } from "../backends/evaluate.ts";
import { readNow } from "../core/value.ts";
import type { Node } from "../graph/node.ts";
import { ManabiError, type Tensor } from "../index.ts";
import { inEvalMode, type Module } from "../nn/index.ts";
import { GraphWriter } from "./graph-writer.ts";
import { checkLowerable, lower } from "./lower/index.ts";
import { Emitter, whole } from "./lower/site.ts";
import { encodeMessage } from "./protobuf.ts";
import { type Dimension, modelProto, type StringPair, type ValueInfo } from "./schema.ts";
import { onnxDTypes } from "./tensor-proto.ts";
import { type Extent, type InputSpec, type TracePair, traceTwice } from "./trace.ts";

/** Operator set and format version of the files; ONNX Runtime 1.14 (2023) and later read them. */
const opset = 18;
const irVersion = 8;
/** A file beyond this cannot be a protocol buffer. */
const sizeLimit = 2 ** 31;

export interface ExportOptions {
  /** The arguments of `forward` by name. A size given by a name may vary: `{ input: { shape: ["batch", 3, 224, 224] } }`. */
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** Names of what `forward` returns. Default "output", and "output1", .. where there are several. */
  readonly outputs?: readonly string[];
  /** Texts to store in the file, such as class names. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A module whose `forward` takes tensors and returns one or several. */
type Exportable = Module & { forward(...inputs: Tensor[]): Tensor | readonly Tensor[] };

/**
 * A model in evaluation mode as the bytes of an ONNX file (operator set 18). Its variables are initializers under their
 * checkpoint keys. Throws with all primitives that ONNX has no operators for.
 */
export function exportOnnx(model: Exportable, { inputs, outputs, metadata = {} }: ExportOptions): Uint8Array {
  const names = Object.keys(inputs);
  const pair = inEvalMode(model, () => traceTwice((...x) => model.forward(...x), Object.values(inputs)));
  checkLowerable(pair.nodes, pair.outputs);
  const writer = new GraphWriter();
  const emitter = emitterFor(pair, writer, inputs);
  pair.inputs.forEach((node, i) => {
    emitter.set(node, whole(names[i], node));
  });
  writeVariables(model, pair, writer, emitter);
  for (const node of pair.nodes) lower(node, emitter);

  const outputNames = outputs ?? pair.outputs.map((_, i) => (i === 0 ? "output" : `output${i}`));
  if (
    outputNames.length !== pair.outputs.length ||
    new Set([...names, ...outputNames]).size !== names.length + outputNames.length
  )
    throw new ManabiError(
      `exportOnnx: the model has ${pair.outputs.length} outputs and inputs ${names.join(", ")}; ` +
        `[${outputNames.join(", ")}] must name each output once`,
    );
  const values = pair.outputs.map((node) => emitter.full(node));
  values.forEach((value, i) => {
    writer.output(value, outputNames[i]);
  });
  const describe = (node: Node, name: string): ValueInfo => valueInfo(name, node, emitter.extents(node), pair.symbol);
  const graph = {
    name: model.constructor.name,
    ...writer.finish(outputNames),
    input: pair.inputs.map((node, i) => describe(node, names[i])),
    output: pair.outputs.map((node, i) => describe(node, outputNames[i])),
  };
  const size = graph.initializer.reduce((n, { rawData }) => n + (rawData?.length ?? 0), 0);
  if (size >= sizeLimit) throw new ManabiError(`exportOnnx: ${size} bytes of weights do not fit a file of 2 GiB`);
  return encodeMessage(modelProto, {
    irVersion,
    producerName: "manabi",
    graph,
    opsetImport: [{ domain: "", version: opset }],
    metadata: Object.entries(metadata).map(([key, value]): StringPair => ({ key, value })),
  });
}

/** Knows which input tells the size that may vary. */
function emitterFor(pair: TracePair, writer: GraphWriter, inputs: ExportOptions["inputs"]): Emitter {
  const [name, axis] = Object.entries(inputs)
    .map(([input, { shape }]) => [input, shape.findIndex((d) => typeof d === "string")] as const)
    .find(([, found]) => found >= 0) ?? ["", 0];
  return new Emitter(pair, writer, name, axis);
}

function writeVariables(model: Module, pair: TracePair, writer: GraphWriter, emitter: Emitter): void {
  const keys = new Map([...model.variables()].map(([key, { cell }]) => [cell, key]));
  for (const [cell, node] of pair.cells) {
    const key = keys.get(cell);
    if (key === undefined)
      throw new ManabiError("exportOnnx: the model reads a variable that is not among its own; make it a field of it");
    const data = readNow(evaluate([cell.node])[0], "await model.toHost() before exportOnnx");
    const name = writer.initializer(key, { shape: node.shape, dtype: node.dtype, data });
    emitter.set(node, whole(name, node));
  }
}

function valueInfo(name: string, { dtype }: Node, shape: readonly Extent[], symbol: string | null): ValueInfo {
  const dim = shape.map((extent): Dimension => {
    if ("fixed" in extent) return { value: extent.fixed };
    return { param: extent.times === 1 ? (symbol ?? "") : `${extent.times}*${symbol}` };
  });
  return { name, type: { tensor: { elemType: onnxDTypes[dtype], shape: { dim } } } };
}
