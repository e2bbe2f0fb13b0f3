import type { Tensor } from "./tensor.ts";

type Method = { [K in keyof Tensor]: Tensor[K] extends (...args: never[]) => unknown ? K : never }[keyof Tensor];
type Free<K extends Method> = (x: Tensor, ...args: Parameters<Tensor[K]>) => ReturnType<Tensor[K]>;

/** The method of that name as a function of the tensor and the method's arguments. */
const free =
  <K extends Method>(name: K): Free<K> =>
  (x, ...args) =>
    Reflect.apply(x[name], x, args);

// Each is the Tensor method of the same name, documented there.
export const abs = free("abs");
export const acos = free("acos");
export const add = free("add");
export const all = free("all");
export const any = free("any");
export const argmax = free("argmax");
export const argmin = free("argmin");
export const argsort = free("argsort");
export const asin = free("asin");
export const atan = free("atan");
export const broadcastTo = free("broadcastTo");
export const cast = free("cast");
export const ceil = free("ceil");
export const clamp = free("clamp");
export const cos = free("cos");
export const cosh = free("cosh");
export const cumsum = free("cumsum");
export const div = free("div");
export const eq = free("eq");
export const erf = free("erf");
export const exp = free("exp");
export const expm1 = free("expm1");
export const flatten = free("flatten");
export const flip = free("flip");
export const floor = free("floor");
export const gather = free("gather");
export const ge = free("ge");
export const gt = free("gt");
export const le = free("le");
export const log = free("log");
export const log1p = free("log1p");
export const logsumexp = free("logsumexp");
export const lt = free("lt");
export const max = free("max");
export const maximum = free("maximum");
export const mean = free("mean");
export const min = free("min");
export const minimum = free("minimum");
export const mod = free("mod");
export const mul = free("mul");
export const ne = free("ne");
export const neg = free("neg");
export const norm = free("norm");
export const permute = free("permute");
export const pow = free("pow");
export const prod = free("prod");
export const reciprocal = free("reciprocal");
export const reshape = free("reshape");
export const round = free("round");
export const rsqrt = free("rsqrt");
export const scatterAdd = free("scatterAdd");
export const sign = free("sign");
export const sin = free("sin");
export const sinh = free("sinh");
export const sort = free("sort");
export const sqrt = free("sqrt");
export const square = free("square");
export const squeeze = free("squeeze");
export const std = free("std");
export const sub = free("sub");
export const sum = free("sum");
export const take = free("take");
export const tan = free("tan");
export const tanh = free("tanh");
export const tile = free("tile");
export const topk = free("topk");
export const transpose = free("transpose");
export const unsqueeze = free("unsqueeze");
export const variance = free("variance");
