/** The part of the ONNX format that is written and read here, as tables of fields.
 *  https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
import {
  bytes,
  bytesList,
  doubles,
  float,
  floats,
  integer,
  integers,
  type Message,
  message,
  messages,
  text,
  texts,
} from "./protobuf.ts";

export interface TensorProto {
  readonly dims?: readonly number[];
  readonly dataType?: number;
  readonly floatData?: readonly number[];
  readonly int32Data?: readonly number[];
  readonly int64Data?: readonly number[];
  readonly name?: string;
  readonly rawData?: Uint8Array;
  readonly doubleData?: readonly number[];
  /** Where the values are when they are in another file. */
  readonly externalData?: readonly StringPair[];
  readonly dataLocation?: number;
}

export interface StringPair {
  readonly key?: string;
  readonly value?: string;
}

export interface AttributeProto {
  readonly name?: string;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  /** A subgraph, kept as bytes: loops and branches are not read. */
  readonly g?: Uint8Array;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly strings?: readonly Uint8Array[];
  readonly type?: number;
}

/** `AttributeProto.type`. */
export const attributeTypes = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

export interface NodeProto {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly name?: string;
  readonly opType?: string;
  readonly attribute?: readonly AttributeProto[];
  readonly domain?: string;
}

export interface Dimension {
  readonly value?: number;
  /** The name of a size that may vary, such as "batch". */
  readonly param?: string;
}

export interface ValueInfo {
  readonly name?: string;
  readonly type?: {
    readonly tensor?: { readonly elemType?: number; readonly shape?: { readonly dim?: readonly Dimension[] } };
  };
}

export interface GraphProto {
  readonly node?: readonly NodeProto[];
  readonly name?: string;
  readonly initializer?: readonly TensorProto[];
  readonly input?: readonly ValueInfo[];
  readonly output?: readonly ValueInfo[];
}

export interface ModelProto {
  readonly irVersion?: number;
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly graph?: GraphProto;
  readonly opsetImport?: readonly { readonly domain?: string; readonly version?: number }[];
  readonly metadata?: readonly StringPair[];
}

const stringPair: Message<StringPair> = { key: text(1), value: text(2) };

export const tensorProto: Message<TensorProto> = {
  dims: integers(1),
  dataType: integer(2),
  floatData: floats(4),
  int32Data: integers(5),
  int64Data: integers(7),
  name: text(8),
  rawData: bytes(9),
  doubleData: doubles(10),
  externalData: messages(() => stringPair)(13),
  dataLocation: integer(14),
};

const attributeProto: Message<AttributeProto> = {
  name: text(1),
  f: float(2),
  i: integer(3),
  s: bytes(4),
  t: message(() => tensorProto)(5),
  g: bytes(6),
  floats: floats(7),
  ints: integers(8),
  strings: bytesList(9),
  type: integer(20),
};

const nodeProto: Message<NodeProto> = {
  input: texts(1),
  output: texts(2),
  name: text(3),
  opType: text(4),
  attribute: messages(() => attributeProto)(5),
  domain: text(7),
};

const dimension: Message<Dimension> = { value: integer(1), param: text(2) };
type TypeProto = NonNullable<ValueInfo["type"]>;
type TensorType = NonNullable<TypeProto["tensor"]>;
const shape: Message<NonNullable<TensorType["shape"]>> = { dim: messages(() => dimension)(1) };
const tensorType: Message<TensorType> = { elemType: integer(1), shape: message(() => shape)(2) };
const typeProto: Message<TypeProto> = { tensor: message(() => tensorType)(1) };
const valueInfo: Message<ValueInfo> = { name: text(1), type: message(() => typeProto)(2) };

const graphProto: Message<GraphProto> = {
  node: messages(() => nodeProto)(1),
  name: text(2),
  initializer: messages(() => tensorProto)(5),
  input: messages(() => valueInfo)(11),
  output: messages(() => valueInfo)(12),
};

const opset: Message<{ readonly domain?: string; readonly version?: number }> = {
  domain: text(1),
  version: integer(2),
};

export const modelProto: Message<ModelProto> = {
  irVersion: integer(1),
  producerName: text(2),
  producerVersion: text(3),
  graph: message(() => graphProto)(7),
  opsetImport: messages(() => opset)(8),
  metadata: messages(() => stringPair)(14),
};
