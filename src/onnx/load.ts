import { type DType, fromHost, ManabiError, type Tensor } from "../index.ts";
import { Attributes, describe, type Operator } from "./operator.ts";
import { elementwise } from "./operators/elementwise.ts";
import { indexing } from "./operators/indexing.ts";
import { movement } from "./operators/movement.ts";
import { network } from "./operators/network.ts";
import { reductions } from "./operators/reduce.ts";
import { decodeMessage } from "./protobuf.ts";
import { type GraphProto, type ModelProto, modelProto, type NodeProto, type ValueInfo } from "./schema.ts";
import { dtypeOf, fromTensorProto } from "./tensor-proto.ts";

const operators: Readonly<Record<string, Operator>> = {
  ...elementwise,
  ...indexing,
  ...movement,
  ...network,
  ...reductions,
};

/** An input or output of an ONNX model. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  /** Names stand for sizes that may vary, such as "batch"; null where the rank is not known. */
  readonly shape: readonly (number | string)[] | null;
}

/** An ONNX model as a function of tensors, which can be jitted and differentiated as any other. */
export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Its constants by name, weights among them. */
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Outputs by name of inputs by name. `weights` stand in for initializers, for a gradient by them. */
  run(
    inputs: Readonly<Record<string, Tensor>>,
    weights?: Readonly<Record<string, Tensor>>,
  ): Readonly<Record<string, Tensor>>;
}

export interface LoadOnnxOptions {
  /** Stands for the path in errors. */
  readonly label?: string;
}

/**
 * Reads an ONNX model (operator sets 7 and later, values in the file). Operators and their attributes are carried out
 * as they stand; int64 is i32. Throws with all the operators that are not known, and `FormatError` for a damaged file.
 */
export function loadOnnx(data: Uint8Array, { label = "ONNX model" }: LoadOnnxOptions = {}): OnnxModel {
  const model = decodeMessage(label, modelProto, data);
  const { graph } = model;
  if (!graph) throw new ManabiError(`${label}: there is no graph in it; it is no ONNX model`);
  const opset = operatorSet(label, model);
  checkOperators(label, graph);
  const initializers = new Map(
    (graph.initializer ?? []).map((tensor) => {
      const { name = "" } = tensor;
      return [name, fromHost(fromTensorProto(`${label}: initializer "${name}"`, tensor))] as const;
    }),
  );
  // Old versions list the initializers among the inputs.
  const inputs = (graph.input ?? [])
    .filter(({ name = "" }) => !initializers.has(name))
    .map((v) => describeValue(label, v));
  const outputs = (graph.output ?? []).map((v) => describeValue(label, v));
  return {
    inputs,
    outputs,
    metadata: Object.fromEntries((model.metadata ?? []).map(({ key = "", value = "" }) => [key, value])),
    initializers,
    run(given, weights = {}) {
      checkInputs(label, inputs, given);
      for (const name of Object.keys(weights))
        if (!initializers.has(name)) throw new ManabiError(`${label}: there is no initializer "${name}" to replace`);
      const values = new Map([...initializers, ...Object.entries(weights), ...Object.entries(given)]);
      for (const node of graph.node ?? []) evaluateNode(label, node, opset, values);
      return Object.fromEntries(outputs.map(({ name }) => [name, valueNamed(label, values, name)]));
    },
  };
}

function operatorSet(label: string, { opsetImport = [] }: ModelProto): number {
  const version = opsetImport.find(({ domain = "" }) => isStandard(domain))?.version ?? 1;
  if (version < 7)
    throw new ManabiError(`${label}: operator set ${version}; 7 and later are supported, export it anew`);
  return version;
}

const isStandard = (domain = ""): boolean => domain === "" || domain === "ai.onnx";

function checkOperators(label: string, { node = [] }: GraphProto): void {
  const unknown = node.flatMap(({ opType = "", domain }) =>
    isStandard(domain) && Object.hasOwn(operators, opType) ? [] : [isStandard(domain) ? opType : `${domain}.${opType}`],
  );
  if (unknown.length)
    throw new ManabiError(`${label}: operators that are not supported: ${[...new Set(unknown)].sort().join(", ")}`);
}

function describeValue(label: string, { name = "", type }: ValueInfo): OnnxValue {
  const { elemType, shape } = type?.tensor ?? {};
  const dims = shape && (shape.dim ?? []).map(({ value, param }, i) => value ?? (param || `unknown${i}`));
  return { name, dtype: dtypeOf(`${label}: "${name}"`, elemType), shape: dims ?? null };
}

function checkInputs(label: string, inputs: readonly OnnxValue[], given: Readonly<Record<string, Tensor>>): void {
  const expected = inputs.map(({ name }) => name).join(", ");
  for (const name of Object.keys(given))
    if (!inputs.some((input) => input.name === name))
      throw new ManabiError(`${label}: there is no input "${name}"; it takes ${expected}`);
  for (const { name, dtype, shape } of inputs) {
    const tensor = given[name];
    if (!tensor) throw new ManabiError(`${label}: the input "${name}" is missing; it takes ${expected}`);
    const fits =
      tensor.dtype === dtype &&
      (!shape ||
        (shape.length === tensor.rank && shape.every((d, i) => typeof d === "string" || d === tensor.shape[i])));
    if (!fits)
      throw new ManabiError(
        `${label}: the input "${name}" is ${tensor.dtype}[${tensor.shape}], it must be ${dtype}[${shape ?? "..."}]`,
      );
  }
}

function valueNamed(label: string, values: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = values.get(name);
  if (!found) throw new ManabiError(`${label}: the value "${name}" is used before any node has computed it`);
  return found;
}

function evaluateNode(label: string, node: NodeProto, opset: number, values: Map<string, Tensor>): void {
  const { opType = "", input = [], output = [], attribute } = node;
  const what = `${label}: ${describe(node)}`;
  const inputs = input.map((name) => (name === "" ? null : valueNamed(label, values, name)));
  let results: Tensor | readonly Tensor[];
  try {
    const outputs = output.filter((name) => name !== "");
    results = operators[opType]({ what, inputs, attrs: new Attributes(what, attribute), opset, outputs });
  } catch (error) {
    if (!(error instanceof ManabiError) || error.message.startsWith(label)) throw error;
    throw new ManabiError(`${what}: ${error.message}`, { cause: error });
  }
  const list = Array.isArray(results) ? (results as readonly Tensor[]) : [results as Tensor];
  output.forEach((name, i) => {
    if (name === "") return;
    if (!list[i]) throw new ManabiError(`${what}: its output ${i} is not supported`);
    values.set(name, list[i]);
  });
}
