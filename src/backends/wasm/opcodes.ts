/** Types of WebAssembly values. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Encoding, operands and result of an instruction without immediates other than those in its encoding. */
export interface Opcode {
  readonly bytes: readonly number[];
  readonly operands: readonly ValueType[];
  readonly result: ValueType | null;
}

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest ? low | 0x80 : low);
  } while (rest);
  return bytes;
}

/** Signed LEB128. */
export function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && !(low & 0x40)) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const table: Record<string, Opcode> = {};

/** Consecutive opcodes `names` from `first` on; a name "-" skips one. */
function add(
  prefix: readonly number[],
  first: number,
  operands: string,
  result: ValueType | null,
  names: string,
): void {
  names.split(" ").forEach((name, i) => {
    if (name === "-") return;
    const code = prefix.length ? unsigned(first + i) : [first + i];
    table[name] = { bytes: [...prefix, ...code], operands: operands.split(" ") as ValueType[], result };
  });
}

const named = (type: string, names: string) => names.replace(/[^ -]+/g, (n) => `${type}.${n}`);
const integer = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const compareInteger = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const compareFloat = "eq ne lt gt le ge";
for (const [type, eqz, unary, binary] of [
  ["i32", 0x45, 0x67, 0x6a],
  ["i64", 0x50, 0x79, 0x7c],
] as const) {
  add([], eqz, type, "i32", named(type, "eqz"));
  add([], eqz + 1, `${type} ${type}`, "i32", named(type, compareInteger));
  add([], unary, type, type, named(type, "clz ctz popcnt"));
  add([], binary, `${type} ${type}`, type, named(type, integer));
}
for (const [type, compare, unary] of [
  ["f32", 0x5b, 0x8b],
  ["f64", 0x61, 0x99],
] as const) {
  add([], compare, `${type} ${type}`, "i32", named(type, compareFloat));
  add([], unary, type, type, named(type, "abs neg ceil floor trunc nearest sqrt"));
  add([], unary + 7, `${type} ${type}`, type, named(type, "add sub mul div min max copysign"));
}
add([], 0xa7, "i64", "i32", "i32.wrap_i64");
add([], 0xac, "i32", "i64", "i64.extend_i32_s i64.extend_i32_u");
add([], 0xb2, "i32", "f32", "f32.convert_i32_s f32.convert_i32_u");
add([], 0xb4, "i64", "f32", "f32.convert_i64_s f32.convert_i64_u");
add([], 0xb6, "f64", "f32", "f32.demote_f64");
add([], 0xb7, "i32", "f64", "f64.convert_i32_s f64.convert_i32_u");
add([], 0xb9, "i64", "f64", "f64.convert_i64_s f64.convert_i64_u");
add([], 0xbb, "f32", "f64", "f64.promote_f32");
add([], 0xbc, "f32", "i32", "i32.reinterpret_f32");
add([], 0xbd, "f64", "i64", "i64.reinterpret_f64");
add([], 0xbe, "i32", "f32", "f32.reinterpret_i32");
add([], 0xbf, "i64", "f64", "f64.reinterpret_i64");
add([], 0xc0, "i32", "i32", "i32.extend8_s i32.extend16_s");
add([0xfc], 0, "f32", "i32", "i32.trunc_sat_f32_s i32.trunc_sat_f32_u");
add([0xfc], 2, "f64", "i32", "i32.trunc_sat_f64_s i32.trunc_sat_f64_u");
add([0xfc], 4, "f32", "i64", "i64.trunc_sat_f32_s i64.trunc_sat_f32_u");
add([0xfc], 6, "f64", "i64", "i64.trunc_sat_f64_s i64.trunc_sat_f64_u");
table["memory.copy"] = { bytes: [0xfc, 10, 0, 0], operands: ["i32", "i32", "i32"], result: null };
table["memory.fill"] = { bytes: [0xfc, 11, 0], operands: ["i32", "i32", "i32"], result: null };

const simd = [0xfd];
add(simd, 0x0e, "v128 v128", "v128", "i8x16.swizzle");
add(simd, 0x0f, "i32", "v128", "i8x16.splat i16x8.splat i32x4.splat");
add(simd, 0x12, "i64", "v128", "i64x2.splat");
add(simd, 0x13, "f32", "v128", "f32x4.splat");
add(simd, 0x14, "f64", "v128", "f64x2.splat");
for (const [type, first] of [
  ["i8x16", 0x23],
  ["i16x8", 0x2d],
  ["i32x4", 0x37],
] as const)
  add(simd, first, "v128 v128", "v128", named(type, compareInteger));
add(simd, 0x41, "v128 v128", "v128", named("f32x4", compareFloat));
add(simd, 0x47, "v128 v128", "v128", named("f64x2", compareFloat));
add(simd, 0x4d, "v128", "v128", "v128.not");
add(simd, 0x4e, "v128 v128", "v128", "v128.and v128.andnot v128.or v128.xor");
add(simd, 0x52, "v128 v128 v128", "v128", "v128.bitselect");
add(simd, 0x53, "v128", "i32", "v128.any_true");
add(simd, 0x5e, "v128", "v128", "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4");
add(simd, 0x67, "v128", "v128", "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest");
add(simd, 0x74, "v128", "v128", "f64x2.ceil f64x2.floor - - - - f64x2.trunc");
add(simd, 0x94, "v128", "v128", "f64x2.nearest");
add(
  simd,
  0x87,
  "v128",
  "v128",
  named("i16x8", "extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u"),
);
add(simd, 0x65, "v128 v128", "v128", "i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u");
add(simd, 0x85, "v128 v128", "v128", "i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u");
add(simd, 0xa0, "v128", "v128", "i32x4.abs i32x4.neg");
add(simd, 0xa3, "v128", "i32", "i32x4.all_true i32x4.bitmask");
add(
  simd,
  0xa7,
  "v128",
  "v128",
  named("i32x4", "extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u"),
);
add(simd, 0xab, "v128 i32", "v128", "i32x4.shl i32x4.shr_s i32x4.shr_u");
add(
  simd,
  0xae,
  "v128 v128",
  "v128",
  "i32x4.add - - i32x4.sub - - - i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u",
);
add(
  simd,
  0xc7,
  "v128",
  "v128",
  named("i64x2", "extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u"),
);
add(simd, 0xcb, "v128 i32", "v128", "i64x2.shl i64x2.shr_s i64x2.shr_u");
add(simd, 0xce, "v128 v128", "v128", "i64x2.add - - i64x2.sub - - - i64x2.mul");
add(
  simd,
  0xdc,
  "v128 v128",
  "v128",
  named("i64x2", "extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u"),
);
for (const [type, first] of [
  ["f32x4", 0xe0],
  ["f64x2", 0xec],
] as const) {
  add(simd, first, "v128", "v128", named(type, "abs neg - sqrt"));
  add(simd, first + 4, "v128 v128", "v128", named(type, "add sub mul div min max pmin pmax"));
}
add(
  simd,
  0xf8,
  "v128",
  "v128",
  "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u",
);
add(
  simd,
  0xfc,
  "v128",
  "v128",
  "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u",
);
add(
  simd,
  0x105,
  "v128 v128 v128",
  "v128",
  "f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd f64x2.relaxed_nmadd",
);

/** Plain instructions by their names in the text format. */
export const opcodes: Readonly<Record<string, Opcode>> = table;

/** Loads: encoding and result, by name; each takes an address, an alignment and an offset. */
export const loads: Readonly<Record<string, { readonly bytes: readonly number[]; readonly result: ValueType }>> = {
  "i32.load": { bytes: [0x28], result: "i32" },
  "i64.load": { bytes: [0x29], result: "i64" },
  "f32.load": { bytes: [0x2a], result: "f32" },
  "f64.load": { bytes: [0x2b], result: "f64" },
  "i32.load8_s": { bytes: [0x2c], result: "i32" },
  "i32.load8_u": { bytes: [0x2d], result: "i32" },
  "i32.load16_s": { bytes: [0x2e], result: "i32" },
  "i32.load16_u": { bytes: [0x2f], result: "i32" },
  "v128.load": { bytes: [0xfd, 0x00], result: "v128" },
  "v128.load8x8_u": { bytes: [0xfd, 0x02], result: "v128" },
  "v128.load16x4_u": { bytes: [0xfd, 0x04], result: "v128" },
  "v128.load8_splat": { bytes: [0xfd, 0x07], result: "v128" },
  "v128.load32_splat": { bytes: [0xfd, 0x09], result: "v128" },
  "v128.load64_splat": { bytes: [0xfd, 0x0a], result: "v128" },
  "v128.load32_zero": { bytes: [0xfd, 0x5c], result: "v128" },
  "v128.load64_zero": { bytes: [0xfd, 0x5d], result: "v128" },
};

/** Stores: encoding and operand, by name. */
export const stores: Readonly<Record<string, { readonly bytes: readonly number[]; readonly operand: ValueType }>> = {
  "i32.store": { bytes: [0x36], operand: "i32" },
  "i64.store": { bytes: [0x37], operand: "i64" },
  "f32.store": { bytes: [0x38], operand: "f32" },
  "f64.store": { bytes: [0x39], operand: "f64" },
  "i32.store8": { bytes: [0x3a], operand: "i32" },
  "i32.store16": { bytes: [0x3b], operand: "i32" },
  "v128.store": { bytes: [0xfd, 0x0b], operand: "v128" },
};

/** Lanes of vectors: encoding of their extraction and replacement. */
export const lanes: Readonly<
  Record<string, { readonly extract: number; readonly replace: number; readonly lane: ValueType }>
> = {
  i8x16: { extract: 0x16, replace: 0x17, lane: "i32" },
  i16x8: { extract: 0x19, replace: 0x1a, lane: "i32" },
  i32x4: { extract: 0x1b, replace: 0x1c, lane: "i32" },
  i64x2: { extract: 0x1d, replace: 0x1e, lane: "i64" },
  f32x4: { extract: 0x1f, replace: 0x20, lane: "f32" },
  f64x2: { extract: 0x21, replace: 0x22, lane: "f64" },
};
