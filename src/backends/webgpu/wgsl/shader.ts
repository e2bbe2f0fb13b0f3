import type { Buffer } from "../../../compiler/instruction.ts";
import { type DType, isHalf } from "../../../core/dtype.ts";
import { functionsFor } from "./functions.ts";
import { type WgslType, wgslType } from "./scalar.ts";

/**
 * A buffer as a shader sees it: `load<i>(index)` and `store<i>(index, value)`, by position in the list. 16-bit floats are
 * also moved as patterns, by `pattern<i>(index)` and `put<i>(index, pattern)`, or `put_pair<i>(index, pair)` at an index
 * that is even in memory.
 */
export interface Operand {
  readonly buffer: Buffer;
  /** Element that is number 0 to the shader. */
  readonly offset: number;
  readonly written: boolean;
  /** Of 16-bit floats: each word has one writer, which puts pairs. Else halves of words are written atomically. */
  readonly inPairs?: boolean;
}

/** One run of a shader over a number of workgroups. */
export interface Dispatch {
  /** What errors and profiles call it. */
  readonly label: string;
  /**
   * WGSL of `main`'s body and, before it, whatever it needs. It knows `group` and `lane` (i32: number of the workgroup,
   * and of the thread within it), the functions of functions.ts, parameters, and loads and stores of its operands.
   */
  readonly code: ShaderCode;
  readonly operands: readonly Operand[];
  /** Values of the parameters, which are i32. */
  readonly params: readonly number[];
  readonly groups: number;
}

export interface ShaderCode {
  /** Functions, shared memory and types. */
  readonly before: string;
  readonly body: string;
  readonly threads: number;
  /**
   * Whether it uses subgroup operations. It then knows `width` (i32) too: `width` lanes from a multiple of it on are one
   * subgroup in that order, so that `lane ^ h` for h below `width` is in the same one. It is 1 where subgroups are not full.
   */
  readonly subgroups?: boolean;
  /** What subgroup matrices consist of, where it uses such. It then knows `subgroup` (u32), the number of the subgroup. */
  readonly matrices?: MatrixUnit["component"];
}

/** How many threads the subgroups of a device have, at least and at most: powers of two. */
export interface SubgroupSizes {
  readonly least: number;
  readonly most: number;
}

/** Matrices that the threads of a subgroup multiply together: m x k times k x n, of f16 or f32, with sums in f32. */
export interface MatrixUnit {
  readonly component: "f16" | "f32";
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What a device's workgroups have. */
export interface Workgroups {
  /** Bytes of memory. */
  readonly shared: number;
  /** Null where shaders have no subgroup operations, or shall not use them. */
  readonly subgroups: SubgroupSizes | null;
  /** Best first. */
  readonly matrices: readonly MatrixUnit[];
}

/** How parameter number `at` is read. */
export const param = (at: number): string => `u.params[${at >> 2}].${"xyzw"[at & 3]}`;

/** Which of a dispatch's bindings an operand lies in, and all that the text of the bindings depends on. */
export interface Layout {
  readonly operands: readonly (Pick<Operand, "written" | "inPairs"> & {
    readonly dtype: DType;
    readonly binding: number;
  })[];
  /** Whether each binding is written. */
  readonly bindings: readonly boolean[];
}

/** Bytes of the uniform block: the number of workgroups, the operands' offsets, then the parameters. */
export const uniformBytes = (operands: number, params: number): number =>
  16 * (Math.ceil((operands + 1) / 4) + Math.max(1, Math.ceil(params / 4)));

/** Where the parameters begin in the block, in words. */
export const paramsAt = (operands: number): number => 4 * Math.ceil((operands + 1) / 4);

const subgroupInputs = `,
        @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32,
        @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) member: u32`;

/**
 * Numbers the threads by subgroup: WGSL does not say which of them form one. No subgroup has more than `size` threads, so
 * if `subgroups * size` is the number of threads, all are full and the lanes are the threads in some order.
 */
const lanesBySubgroup = (threads: number): string[] => [
  `  let full = subgroups * size == ${threads}u;`,
  "  let lane = i32(select(thread, subgroup * size + member, full));",
  "  let width = i32(select(1u, size, full));",
];

type Memory = WgslType | "atomic<u32>";

/** What a binding consists of. Memory shared by operands of several types is words. */
function memoryOf(operands: Layout["operands"]): Memory {
  if (operands.some((o) => isHalf(o.dtype) && o.written && !o.inPairs)) return "atomic<u32>";
  const own = new Set(operands.map((o) => (isHalf(o.dtype) ? "u32" : wgslType(o.dtype))));
  return own.size === 1 ? [...own][0] : "u32";
}

/** The functions that read and write operand number `i`. */
function accessText({ dtype, binding, written, inPairs }: Layout["operands"][number], i: number, memory: Memory) {
  const cell = (index: string) => `m${binding}[${index}]`;
  const read = (index: string) => (memory === "atomic<u32>" ? `atomicLoad(&${cell(index)})` : cell(index));
  const write = (index: string, value: string) =>
    memory === "atomic<u32>" ? `atomicStore(&${cell(index)}, ${value})` : `${cell(index)} = ${value}`;
  const at = `u.offsets[${(i + 1) >> 2}].${"xyzw"[(i + 1) & 3]} + i`;
  const type = wgslType(dtype);
  if (!isHalf(dtype)) {
    const direct = type === memory || (type === "u32" && memory === "atomic<u32>");
    const word = memory === "atomic<u32>" ? "u32" : memory;
    return [
      `fn load${i}(i: i32) -> ${type} { return ${direct ? read(at) : `bitcast<${type}>(${read(at)})`}; }`,
      ...(written ? [`fn store${i}(i: i32, v: ${type}) { ${write(at, direct ? "v" : `bitcast<${word}>(v)`)}; }`] : []),
    ];
  }
  const functions = [
    `fn pattern${i}(i: i32) -> u32 { let at = ${at}; return (${read("at >> 1u")} >> (16u * u32(at & 1))) & 0xffffu; }`,
    `fn load${i}(i: i32) -> f32 { return from_${dtype}(pattern${i}(i)); }`,
  ];
  if (!written) return functions;
  if (inPairs) return [...functions, `fn put_pair${i}(i: i32, pair: u32) { ${write(`(${at}) >> 1u`, "pair")}; }`];
  return [
    ...functions,
    `fn put${i}(i: i32, pattern: u32) {
  let at = ${at};
  let shift = 16u * u32(at & 1);
  atomicAnd(&${cell("at >> 1u")}, 0xffff0000u >> shift);
  atomicOr(&${cell("at >> 1u")}, pattern << shift);
}`,
    `fn store${i}(i: i32, v: f32) { put${i}(i, to_${dtype}(v)); }`,
  ];
}

/** The whole text of a shader. */
export function shaderText(code: ShaderCode, { operands, bindings }: Layout, params: number): string {
  const types = bindings.map((_, b) => memoryOf(operands.filter((o) => o.binding === b)));
  const lines = [
    ...(code.matrices === "f16" ? ["enable f16;"] : []),
    ...(code.matrices ? ["enable chromium_experimental_subgroup_matrix;"] : []),
    ...(code.subgroups ? ["enable subgroups;", "requires subgroup_id;"] : []),
    "struct Uniforms {",
    `  offsets: array<vec4<i32>, ${Math.ceil((operands.length + 1) / 4)}>,`,
    `  params: array<vec4<i32>, ${Math.max(1, Math.ceil(params / 4))}>,`,
    "}",
    "@group(0) @binding(0) var<uniform> u: Uniforms;",
    ...bindings.map(
      (written, b) =>
        `@group(0) @binding(${b + 1}) var<storage, ${written ? "read_write" : "read"}> m${b}: array<${types[b]}>;`,
    ),
  ];
  const access = operands.flatMap((o, i) => accessText(o, i, types[o.binding]));
  lines.push(...access);
  const needs = functionsFor([...access, code.before, code.body].join("\n"));
  return [
    ...lines,
    ...(needs ? [needs] : []),
    ...(code.before ? [code.before] : []),
    `@compute @workgroup_size(${code.threads})`,
    "fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,",
    `        @builtin(local_invocation_index) thread: u32${code.subgroups ? subgroupInputs : ""}) {`,
    "  let group = i32(wid.x + wid.y * wn.x);",
    ...(code.subgroups ? lanesBySubgroup(code.threads) : ["  let lane = i32(thread);"]),
    "  if (group >= u.offsets[0].x) { return; }",
    code.body,
    "}",
    "",
  ].join("\n");
}
