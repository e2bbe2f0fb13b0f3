import { filledArray, isFloat } from "../../core/dtype.ts";
import type { CastAttrs } from "../../primitives/elementwise.ts";
import { onnxDTypes } from "../tensor-proto.ts";
import type { Lowering, Site, Value } from "./site.ts";

/** The value of an elementwise operator: repeated along the axes along which all its operands are. */
function joined(site: Site, name: string): Value {
  const operands = site.node.inputs.map((_, i) => site.input(i));
  const scalar = operands.every((operand) => operand.scalar);
  const shape = site.node.shape.map((d, i) => (operands.some((x) => !x.scalar && x.shape[i] === d) ? d : 1));
  return { name, shape, scalar };
}

const names = (site: Site): string[] => site.node.inputs.map((_, i) => site.input(i).name);

const operator =
  (opType: string, attributes = {}): Lowering =>
  (site) =>
    joined(site, site.writer.node(opType, names(site), attributes));

/** Of bool one operator, of numbers another one. */
const either =
  (ofBool: string, ofNumbers: string): Lowering =>
  (site) =>
    operator(site.node.dtype === "bool" ? ofBool : ofNumbers)(site);

/** 1 in the dtype of a node, as a constant. */
const one = ({ writer, node: { dtype } }: Site): string =>
  writer.constant({ dtype, shape: [], data: filledArray(1, dtype, 1) });

function mod(site: Site): Value {
  const [x, y] = names(site);
  const { node, writer } = site;
  if (!isFloat(node.dtype)) return operator("Mod")(site);
  const times = writer.node("Floor", [writer.node("Div", [x, y])]);
  return joined(site, writer.node("Sub", [x, writer.node("Mul", [times, y])]));
}

/** ONNX Runtime chooses among numbers only; of bool it is (c and x) or (not c and y). */
function where(site: Site): Value {
  if (site.node.dtype !== "bool") return operator("Where")(site);
  const [c, x, y] = names(site);
  const { writer } = site;
  const taken = writer.node("And", [c, x]);
  return joined(site, writer.node("Or", [taken, writer.node("And", [writer.node("Not", [c]), y])]));
}

export const elementwise = {
  neg: operator("Neg"),
  abs: operator("Abs"),
  sign: operator("Sign"),
  floor: operator("Floor"),
  ceil: operator("Ceil"),
  round: operator("Round"),
  exp: operator("Exp"),
  expm1: (site: Site) => joined(site, site.writer.node("Sub", [site.writer.node("Exp", names(site)), one(site)])),
  log: operator("Log"),
  log1p: (site: Site) => joined(site, site.writer.node("Log", [site.writer.node("Add", [...names(site), one(site)])])),
  sqrt: operator("Sqrt"),
  sin: operator("Sin"),
  cos: operator("Cos"),
  atan: operator("Atan"),
  tanh: operator("Tanh"),
  erf: operator("Erf"),
  not: operator("Not"),
  add: operator("Add"),
  sub: operator("Sub"),
  mul: operator("Mul"),
  div: operator("Div"),
  mod,
  pow: operator("Pow"),
  maximum: either("Or", "Max"),
  minimum: either("And", "Min"),
  eq: operator("Equal"),
  ne: (site: Site) => joined(site, site.writer.node("Not", [site.writer.node("Equal", names(site))])),
  lt: operator("Less"),
  le: operator("LessOrEqual"),
  gt: operator("Greater"),
  ge: operator("GreaterOrEqual"),
  and: either("And", "BitwiseAnd"),
  or: either("Or", "BitwiseOr"),
  xor: either("Xor", "BitwiseXor"),
  where,
  cast: (site: Site<CastAttrs>) => operator("Cast", { to: onnxDTypes[site.attrs.dtype] })(site),
} satisfies Record<string, Lowering<never>>;
