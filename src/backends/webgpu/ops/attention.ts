import type { Buffer, OpInstruction } from "../../../compiler/instruction.ts";
import { ManabiError } from "../../../core/errors.ts";
import { wordBytes } from "../wgsl/scalar.ts";
import { type Dispatch, type Operand, param } from "../wgsl/shader.ts";
import { forEach } from "./copy.ts";

/**
 * Attention in blocks of queries and keys (Dao et al. 2022, arXiv:2205.14135): scores live in the memory of a workgroup
 * only. A workgroup has `side` x `side` threads and as many scores at a time.
 */
interface Problem {
  readonly batches: number;
  readonly tq: number;
  readonly tk: number;
  readonly d: number;
  readonly dv: number;
  readonly causal: boolean;
  readonly mask: "none" | "hides" | "adds";
  readonly scale: number;
  /** Shape of the batch, and strides and offsets of the inputs; what is not read by strides has none. */
  readonly batch: readonly number[];
  readonly strides: readonly (readonly number[])[];
  readonly op: OpInstruction;
}

function problemOf(op: OpInstruction): Problem {
  const [rank] = op.params;
  const batch = op.params.slice(1, 1 + rank);
  const [tq, tk, d, dv, causal, masked, high, low] = op.params.slice(1 + rank);
  const bits = new DataView(new ArrayBuffer(8));
  bits.setUint32(0, high);
  bits.setUint32(4, low);
  const isGrad = op.name.startsWith("attention_grad");
  const inputs = op.buffers.length - 1;
  const saved = isGrad ? inputs - 2 : -1;
  let at = 9 + rank;
  const strides = Array.from({ length: inputs }, (_, i) => {
    if (i === saved) return [];
    at += rank + 2;
    return op.params.slice(at - rank - 2, at);
  });
  return {
    batches: batch.reduce((a, b) => a * b, 1),
    tq,
    tk,
    d,
    dv,
    causal: causal !== 0,
    mask: masked === 0 ? "none" : masked === 1 ? "hides" : "adds",
    scale: bits.getFloat64(0),
    batch,
    strides,
    op,
  };
}

/** Scores below this are of keys that are not seen. */
const hidden = "-1e38f";
const unseen = "-3e38f";

const [tq, tk, scaleBits] = [0, 1, 2].map(param);

/** Parameters, and functions that read the inputs `named` at batch z, row i and column c. */
function access(p: Problem, named: Readonly<Record<string, number>>): { functions: string; params: number[] } {
  const params = [p.tq, p.tk, floatBits(p.scale)];
  const add = (value: number) => param(params.push(value) - 1);
  const sizes = p.batch.map(add);
  const functions = Object.entries(named).map(([name, input]) => {
    const strides = p.strides[input].map(add);
    let rest = "z";
    const terms: string[] = [];
    for (let a = p.batch.length - 1; a >= 0; a--) {
      terms.push(`(${a === 0 ? rest : `${rest} % ${sizes[a]}`}) * ${strides[a]}`);
      rest = `(${rest} / ${sizes[a]})`;
    }
    const [row, column] = strides.slice(-2);
    const index = [...terms, `i * ${row}`, `c * ${column}`].join(" + ");
    const type = name === "mask_at" && p.mask === "hides" ? "u32" : "f32";
    return `fn ${name}(z: i32, i: i32, c: i32) -> ${type} { return load${input}(${index}); }`;
  });
  const causal = p.causal ? "j > i || " : "";
  const given = `mask_at(z, min(i, ${tq} - 1), min(j, ${tk} - 1))`;
  const seen = p.mask === "hides" ? `select(s, ${unseen}, ${given} == 0u)` : p.mask === "adds" ? `s + ${given}` : "s";
  functions.push(`fn score(z: i32, i: i32, j: i32, product: f32) -> f32 {
  let s = product * bitcast<f32>(${scaleBits});
  return select(max(${seen}, ${unseen}), ${unseen}, ${causal}i >= ${tq} || j >= ${tk});
}`);
  return { functions: functions.join("\n"), params };
}

const floatBits = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0];

/** Largest side of a workgroup whose tiles fit into its memory; `words` tells what a side needs. */
function sideFor(shared: number, words: (side: number) => number): number {
  for (const side of [16, 8, 4]) if (words(side) * wordBytes <= shared) return side;
  throw new ManabiError(`webgpu: attention needs more than the ${shared} bytes of memory that a workgroup has here`);
}

const tile = (name: string, side: number, width: number) =>
  `var<workgroup> ${name}: array<f32, ${side * (width + 1)}>;`;

/**
 * Loads `side` rows from `first` on into a tile, by the function `read`, zeros beyond the last of `rows`; without a
 * branch, which some compilers of shaders take long over. Rows lie one word further apart than they are wide.
 */
const loadTile = (name: string, side: number, width: number, first: string, rows: string, read: string) =>
  `for (var e = lane; e < ${side * width}; e += ${side * side}) {
      let at = ${first} + e / ${width};
      let value = ${read}(z, min(at, ${rows} - 1), e % ${width});
      ${name}[(e / ${width}) * ${width + 1} + e % ${width}] = select(0f, value, at < ${rows});
    }`;

/** The product of row `a` of one tile and row `b` of another. */
const rowProduct = (into: string, x: string, a: string, y: string, b: string, width: number) =>
  `var ${into} = 0f;
    for (var e = 0; e < ${width}; e++) { ${into} += ${x}[${a} * ${width + 1} + e] * ${y}[${b} * ${width + 1} + e]; }`;

/** Columns c, c + side, .. of a row that one thread adds up, in registers. */
const own = (width: number, side: number) => Array.from({ length: Math.ceil(width / side) }, (_, t) => t * side);

const inputsOf = ({ op }: Problem): Operand[] =>
  op.buffers.map((buffer, i) => ({ buffer, offset: op.offsets[i], written: i === op.buffers.length - 1 }));

const masked = (p: Problem): Record<string, number> => (p.mask === "none" ? {} : { mask_at: 3 });

/** softmax(scale q k^T + mask) v, then the logarithms of the sums of exponentials. */
export function attentionDispatch(op: OpInstruction, shared: number): Dispatch {
  const p = problemOf(op);
  const { d, dv } = p;
  const side = sideFor(shared, (s) => s * (d + 1 + Math.max(d, dv) + 1 + s));
  const { functions, params } = access(p, { q_at: 0, k_at: 1, v_at: 2, ...masked(p) });
  const target = p.op.buffers.length - 1;
  const columns = own(dv, side);
  const body = `  let blocks = (${tq} + ${side - 1}) / ${side};
  let z = group / blocks;
  let i0 = (group % blocks) * ${side};
  let r = lane / ${side};
  let c = lane % ${side};
  let i = i0 + r;
    ${loadTile("q_tile", side, d, "i0", tq, "q_at")}
  var highest = ${unseen};
  var total = 0f;
${columns.map((_, t) => `  var o${t} = 0f;`).join("\n")}
  let end = ${p.causal ? `min(${tk}, i0 + ${side})` : tk};
  for (var j0 = 0; j0 < end; j0 += ${side}) {
    workgroupBarrier();
    ${loadTile("kv_tile", side, d, "j0", tk, "k_at")}
    workgroupBarrier();
    ${rowProduct("dot_", "q_tile", "r", "kv_tile", "c", d)}
    let s = score(z, i, j0 + c, dot_);
    scores[lane] = s;
    workgroupBarrier();
    ${loadTile("kv_tile", side, dv, "j0", tk, "v_at")}
    var next = highest;
    for (var e = 0; e < ${side}; e++) { next = max(next, scores[r * ${side} + e]); }
    workgroupBarrier();
    scores[lane] = select(exp_f32(s - next), 0f, s < ${hidden});
    workgroupBarrier();
    let factor = exp_f32(highest - next);
    highest = next;
    total *= factor;
${columns.map((_, t) => `    o${t} *= factor;`).join("\n")}
    for (var e = 0; e < ${side}; e++) {
      let w = scores[r * ${side} + e];
      total += w;
${columns.map((at, t) => `      o${t} += w * kv_tile[e * ${dv + 1} + min(c + ${at}, ${dv - 1})];`).join("\n")}
    }
  }
  if (i < ${tq}) {
    let whole = select(1f / total, 0f, total == 0f);
${columns.map((at, t) => `    if (c + ${at} < ${dv}) { store${target}((z * ${tq} + i) * ${dv} + c + ${at}, o${t} * whole); }`).join("\n")}
    if (c == 0) { store${target}(${p.batches} * ${tq} * ${dv} + z * ${tq} + i, select(highest + log_f32(total), 0f, total == 0f)); }
  }`;
  const before = [
    tile("q_tile", side, d),
    tile("kv_tile", side, Math.max(d, dv)),
    `var<workgroup> scores: array<f32, ${side * side}>;`,
    functions,
  ].join("\n");
  return {
    label: `attention of ${p.batches} x ${p.tq} x ${p.tk}`,
    operands: inputsOf(p),
    params,
    code: { before, body, threads: side * side },
    groups: p.batches * Math.ceil(p.tq / side),
  };
}

/** The gradient in three: ct . o of every query, then the gradient of the queries, then those of keys and values. */
export function expandAttentionGrad(op: OpInstruction): OpInstruction[] {
  const p = problemOf(op);
  const delta: Buffer = { size: p.batches * p.tq, dtype: "f32", place: { kind: "temp" } };
  const target = op.buffers[op.buffers.length - 1];
  const inputs = op.buffers.slice(0, -1);
  const offsets = op.offsets.slice(0, -1);
  const part = (name: string, buffers: Buffer[]): OpInstruction => ({
    ...op,
    name: `attention_grad_${name}`,
    buffers,
    offsets: [...offsets, ...buffers.slice(inputs.length).map(() => 0)],
  });
  return [
    part("rows", [...inputs, delta]),
    part("queries", [...inputs, delta, target]),
    part("keys", [...inputs, delta, target]),
  ];
}

/** The problem of a part of the gradient, whose inputs end with delta. */
function gradProblem(op: OpInstruction): Problem {
  const whole = problemOf({ ...op, buffers: [...op.buffers.slice(0, -2), op.buffers[op.buffers.length - 1]] });
  return { ...whole, op };
}

/** Where what the forward pass saved, the cotangent and delta stand among the inputs. */
const gradInputs = (p: Problem) => {
  const saved = p.mask === "none" ? 3 : 4;
  return { saved, ct: saved + 1, delta: saved + 2, target: saved + 3 };
};

export function attentionRowsDispatch(op: OpInstruction): Dispatch {
  const p = problemOf(op);
  const { saved, ct, delta } = gradInputs(p);
  const { functions, params } = access(p, { ct_at: ct, ...masked(p) });
  const text = `    var sum = 0f;
    for (var c = 0; c < ${p.dv}; c++) { sum += load${saved}(q * ${p.dv} + c) * ct_at(q / ${tq}, q % ${tq}, c); }
    store${delta}(q, sum);`;
  return {
    label: "rows of an attention's gradient",
    operands: inputsOf(p),
    params,
    ...forEach(p.batches * p.tq, text, functions, `${p.batches} * ${tq}`),
  };
}

const logSum = (p: Problem, saved: number, z: string, i: string) =>
  `load${saved}(${p.batches} * ${tq} * ${p.dv} + ${z} * ${tq} + ${i})`;

/** From the scores' row r and column c: the weight, and the slope of the score. */
const slope = (p: Problem, i: string, j: string) => `
    ${rowProduct("dot_", "q_tile", "r", "k_tile", "c", p.d)}
    ${rowProduct("pull", "ct_tile", "r", "v_tile", "c", p.dv)}
    let s = score(z, ${i}, ${j}, dot_);
    let query = min(${i}, ${tq} - 1);
    let weight = select(0f, exp_f32(s - ${logSum(p, gradInputs(p).saved, "z", "query")}), s > ${hidden});
    let slope = weight * (pull - load${gradInputs(p).delta}(z * ${tq} + query)) * bitcast<f32>(${scaleBits});`;

const gradTiles = ({ d, dv }: Problem, side: number) =>
  [tile("q_tile", side, d), tile("ct_tile", side, dv), tile("k_tile", side, d), tile("v_tile", side, dv)].join("\n");

export function attentionQueriesDispatch(op: OpInstruction, shared: number): Dispatch {
  const p = gradProblem(op);
  const { d, dv } = p;
  const { ct, target } = gradInputs(p);
  const side = sideFor(shared, (s) => 2 * s * (d + dv + 2) + s * s);
  const { functions, params } = access(p, { q_at: 0, k_at: 1, v_at: 2, ct_at: ct, ...masked(p) });
  const columns = own(d, side);
  const body = `  let blocks = (${tq} + ${side - 1}) / ${side};
  let z = group / blocks;
  let i0 = (group % blocks) * ${side};
  let r = lane / ${side};
  let c = lane % ${side};
  let i = i0 + r;
    ${loadTile("q_tile", side, d, "i0", tq, "q_at")}
    ${loadTile("ct_tile", side, dv, "i0", tq, "ct_at")}
${columns.map((_, t) => `  var g${t} = 0f;`).join("\n")}
  let end = ${p.causal ? `min(${tk}, i0 + ${side})` : tk};
  for (var j0 = 0; j0 < end; j0 += ${side}) {
    workgroupBarrier();
    ${loadTile("k_tile", side, d, "j0", tk, "k_at")}
    ${loadTile("v_tile", side, dv, "j0", tk, "v_at")}
    workgroupBarrier();${slope(p, "i", "j0 + c")}
    slopes[lane] = slope;
    workgroupBarrier();
    for (var e = 0; e < ${side}; e++) {
      let w = slopes[r * ${side} + e];
${columns.map((at, t) => `      g${t} += w * k_tile[e * ${d + 1} + min(c + ${at}, ${d - 1})];`).join("\n")}
    }
  }
  if (i < ${tq}) {
${columns.map((at, t) => `    if (c + ${at} < ${d}) { store${target}((z * ${tq} + i) * ${d} + c + ${at}, g${t}); }`).join("\n")}
  }`;
  const before = `${gradTiles(p, side)}\nvar<workgroup> slopes: array<f32, ${side * side}>;\n${functions}`;
  return {
    label: `the query gradient of attention of ${p.batches} x ${p.tq} x ${p.tk}`,
    operands: inputsOf(p),
    params,
    code: { before, body, threads: side * side },
    groups: p.batches * Math.ceil(p.tq / side),
  };
}

export function attentionKeysDispatch(op: OpInstruction, shared: number): Dispatch {
  const p = gradProblem(op);
  const { d, dv } = p;
  const { ct, target } = gradInputs(p);
  const side = sideFor(shared, (s) => 2 * s * (d + dv + 2) + 2 * s * s);
  const { functions, params } = access(p, { q_at: 0, k_at: 1, v_at: 2, ct_at: ct, ...masked(p) });
  const [keyColumns, valueColumns] = [own(d, side), own(dv, side)];
  const keys = `${p.batches} * ${tq} * ${d}`;
  const values = `${p.batches} * (${tq} + ${tk}) * ${d}`;
  const body = `  let blocks = (${tk} + ${side - 1}) / ${side};
  let z = group / blocks;
  let j0 = (group % blocks) * ${side};
  let r = lane / ${side};
  let c = lane % ${side};
    ${loadTile("k_tile", side, d, "j0", tk, "k_at")}
    ${loadTile("v_tile", side, dv, "j0", tk, "v_at")}
${keyColumns.map((_, t) => `  var g${t} = 0f;`).join("\n")}
${valueColumns.map((_, t) => `  var h${t} = 0f;`).join("\n")}
  for (var i0 = ${p.causal ? "j0" : "0"}; i0 < ${tq}; i0 += ${side}) {
    workgroupBarrier();
    ${loadTile("q_tile", side, d, "i0", tq, "q_at")}
    ${loadTile("ct_tile", side, dv, "i0", tq, "ct_at")}
    workgroupBarrier();${slope(p, "(i0 + r)", "j0 + c")}
    slopes[lane] = slope;
    weights[lane] = weight;
    workgroupBarrier();
    // From here on row r is that of a key.
    for (var e = 0; e < ${side}; e++) {
      let a = slopes[e * ${side} + r];
      let b = weights[e * ${side} + r];
${keyColumns.map((at, t) => `      g${t} += a * q_tile[e * ${d + 1} + min(c + ${at}, ${d - 1})];`).join("\n")}
${valueColumns.map((at, t) => `      h${t} += b * ct_tile[e * ${dv + 1} + min(c + ${at}, ${dv - 1})];`).join("\n")}
    }
  }
  let j = j0 + r;
  if (j < ${tk}) {
${keyColumns.map((at, t) => `    if (c + ${at} < ${d}) { store${target}(${keys} + (z * ${tk} + j) * ${d} + c + ${at}, g${t}); }`).join("\n")}
${valueColumns.map((at, t) => `    if (c + ${at} < ${dv}) { store${target}(${values} + (z * ${tk} + j) * ${dv} + c + ${at}, h${t}); }`).join("\n")}
  }`;
  const before = `${gradTiles(p, side)}
var<workgroup> slopes: array<f32, ${side * side}>;
var<workgroup> weights: array<f32, ${side * side}>;
${functions}`;
  return {
    label: `the key gradient of attention of ${p.batches} x ${p.tq} x ${p.tk}`,
    operands: inputsOf(p),
    params,
    code: { before, body, threads: side * side },
    groups: p.batches * Math.ceil(p.tk / side),
  };
}
