enable f16;
enable chromium_experimental_subgroup_matrix;
enable subgroups;
requires subgroup_id;
struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 2>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> m0: array<u32>;
@group(0) @binding(2) var<storage, read> m1: array<u32>;
@group(0) @binding(3) var<storage, read_write> m2: array<f32>;
fn pattern0(i: i32) -> u32 { let at = u.offsets[0].y + i; return (m0[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load0(i: i32) -> f32 { return from_f16(pattern0(i)); }
fn pattern1(i: i32) -> u32 { let at = u.offsets[0].z + i; return (m1[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load1(i: i32) -> f32 { return from_f16(pattern1(i)); }
fn load2(i: i32) -> f32 { return m2[u.offsets[0].w + i]; }
fn store2(i: i32, v: f32) { m2[u.offsets[0].w + i] = v; }
fn from_f16(h: u32) -> f32 {
  let e = (h & 0x7fffu) << 13u;
  let small = bitcast<u32>(f32(h & 0x3ffu) * 0x1p-24f);
  let u = select(e + 0x38000000u, small, e < 0x00800000u);
  return bitcast<f32>(select(u, e | 0x7f800000u, e >= 0x0f800000u) | ((h & 0x8000u) << 16u));
}
var<workgroup> left_tile: array<f16, 1024>;
var<workgroup> right_tile: array<f16, 1024>;
var<workgroup> results: array<f32, 1024>;
fn left_row(z: i32, i: i32) -> i32 { return i * u.params[1].y; }
fn left_term(z: i32, p: i32) -> i32 { return p; }
fn left(row: i32, term: i32) -> f32 { return load0(row + term); }
fn right_column(z: i32, j: i32) -> i32 { return j; }
fn right_term(z: i32, p: i32) -> i32 { return p * u.params[1].z; }
fn right(column: i32, term: i32) -> f32 { return load1(column + term); }
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * u.params[0].x + i) * u.params[0].y + j; }
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
        @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32,
        @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) member: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let full = subgroups * size == 128u;
  let lane = i32(select(thread, subgroup * size + member, full));
  let width = i32(select(1u, size, full));
  if (group >= u.offsets[0].x) { return; }
  let across = (u.params[0].y + 63) / 64;
  let tiles = across * ((u.params[0].x + 63) / 64);
  let z = (group / tiles) % u.params[0].w;
  let part = group / tiles / u.params[0].w;
  let i0 = ((group % tiles) / across) * 64;
  let j0 = ((group % tiles) % across) * 64;
  let end = min(u.params[0].z, (part + 1) * u.params[1].x);
  // Where subgroups are smaller than the largest, there are more of them than parts, and some only fetch.
  let busy = subgroup < 4u;
  let part_of = min(subgroup, 3u);
  let row0 = part_of / 2u * 32u;
  let column0 = part_of % 2u * 32u;
  var c0_0: subgroup_matrix_result<f32, 16, 16>;
  var c0_1: subgroup_matrix_result<f32, 16, 16>;
  var c1_0: subgroup_matrix_result<f32, 16, 16>;
  var c1_1: subgroup_matrix_result<f32, 16, 16>;
  let left_t = lane % 16;
  let left_s0 = lane / 16 + 0;
  let left_s1 = lane / 16 + 8;
  let left_s2 = lane / 16 + 16;
  let left_s3 = lane / 16 + 24;
  let left_s4 = lane / 16 + 32;
  let left_s5 = lane / 16 + 40;
  let left_s6 = lane / 16 + 48;
  let left_s7 = lane / 16 + 56;
  let left_line0 = left_row(z, min(i0 + left_s0, u.params[0].x - 1));
  let left_line1 = left_row(z, min(i0 + left_s1, u.params[0].x - 1));
  let left_line2 = left_row(z, min(i0 + left_s2, u.params[0].x - 1));
  let left_line3 = left_row(z, min(i0 + left_s3, u.params[0].x - 1));
  let left_line4 = left_row(z, min(i0 + left_s4, u.params[0].x - 1));
  let left_line5 = left_row(z, min(i0 + left_s5, u.params[0].x - 1));
  let left_line6 = left_row(z, min(i0 + left_s6, u.params[0].x - 1));
  let left_line7 = left_row(z, min(i0 + left_s7, u.params[0].x - 1));
  let right_s = lane % 64;
  let right_t0 = lane / 64 + 0;
  let right_t1 = lane / 64 + 2;
  let right_t2 = lane / 64 + 4;
  let right_t3 = lane / 64 + 6;
  let right_t4 = lane / 64 + 8;
  let right_t5 = lane / 64 + 10;
  let right_t6 = lane / 64 + 12;
  let right_t7 = lane / 64 + 14;
  let right_line0 = right_column(z, min(j0 + right_s, u.params[0].y - 1));
  for (var p0 = part * u.params[1].x; p0 < end; p0 += 16) {
    let left_term0 = left_term(z, min(p0 + left_t, end - 1));
    left_tile[left_t * 64 + left_s0] = f16(select(0f, left(left_line0, left_term0), p0 + left_t < end && i0 + left_s0 < u.params[0].x));
    left_tile[left_t * 64 + left_s1] = f16(select(0f, left(left_line1, left_term0), p0 + left_t < end && i0 + left_s1 < u.params[0].x));
    left_tile[left_t * 64 + left_s2] = f16(select(0f, left(left_line2, left_term0), p0 + left_t < end && i0 + left_s2 < u.params[0].x));
    left_tile[left_t * 64 + left_s3] = f16(select(0f, left(left_line3, left_term0), p0 + left_t < end && i0 + left_s3 < u.params[0].x));
    left_tile[left_t * 64 + left_s4] = f16(select(0f, left(left_line4, left_term0), p0 + left_t < end && i0 + left_s4 < u.params[0].x));
    left_tile[left_t * 64 + left_s5] = f16(select(0f, left(left_line5, left_term0), p0 + left_t < end && i0 + left_s5 < u.params[0].x));
    left_tile[left_t * 64 + left_s6] = f16(select(0f, left(left_line6, left_term0), p0 + left_t < end && i0 + left_s6 < u.params[0].x));
    left_tile[left_t * 64 + left_s7] = f16(select(0f, left(left_line7, left_term0), p0 + left_t < end && i0 + left_s7 < u.params[0].x));
    let right_term0 = right_term(z, min(p0 + right_t0, end - 1));
    let right_term1 = right_term(z, min(p0 + right_t1, end - 1));
    let right_term2 = right_term(z, min(p0 + right_t2, end - 1));
    let right_term3 = right_term(z, min(p0 + right_t3, end - 1));
    let right_term4 = right_term(z, min(p0 + right_t4, end - 1));
    let right_term5 = right_term(z, min(p0 + right_t5, end - 1));
    let right_term6 = right_term(z, min(p0 + right_t6, end - 1));
    let right_term7 = right_term(z, min(p0 + right_t7, end - 1));
    right_tile[right_t0 * 64 + right_s] = f16(select(0f, right(right_line0, right_term0), p0 + right_t0 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t1 * 64 + right_s] = f16(select(0f, right(right_line0, right_term1), p0 + right_t1 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t2 * 64 + right_s] = f16(select(0f, right(right_line0, right_term2), p0 + right_t2 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t3 * 64 + right_s] = f16(select(0f, right(right_line0, right_term3), p0 + right_t3 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t4 * 64 + right_s] = f16(select(0f, right(right_line0, right_term4), p0 + right_t4 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t5 * 64 + right_s] = f16(select(0f, right(right_line0, right_term5), p0 + right_t5 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t6 * 64 + right_s] = f16(select(0f, right(right_line0, right_term6), p0 + right_t6 < end && j0 + right_s < u.params[0].y));
    right_tile[right_t7 * 64 + right_s] = f16(select(0f, right(right_line0, right_term7), p0 + right_t7 < end && j0 + right_s < u.params[0].y));
    workgroupBarrier();
    if (busy) {
      let a0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, col_major>(&left_tile, 0u + row0 + 0u, 64u);
      let a1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, col_major>(&left_tile, 0u + row0 + 16u, 64u);
      let b0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&right_tile, 0u + column0 + 0u, 64u);
      let b1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&right_tile, 0u + column0 + 16u, 64u);
      c0_0 = subgroupMatrixMultiplyAccumulate(a0, b0, c0_0);
      c0_1 = subgroupMatrixMultiplyAccumulate(a0, b1, c0_1);
      c1_0 = subgroupMatrixMultiplyAccumulate(a1, b0, c1_0);
      c1_1 = subgroupMatrixMultiplyAccumulate(a1, b1, c1_1);
    }
    workgroupBarrier();
  }
  if (busy) { subgroupMatrixStore<row_major>(&results, part_of * 256u, c0_0, 16u); }
  workgroupBarrier();
  for (var e = lane; e < 1024; e += 128) {
    let i = i0 + e / 256 / 2 * 32 + 0 + e % 256 / 16;
    let j = j0 + e / 256 % 2 * 32 + 0 + e % 16;
    if (i < u.params[0].x && j < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i, j), results[e]); }
  }
  workgroupBarrier();
  if (busy) { subgroupMatrixStore<row_major>(&results, part_of * 256u, c0_1, 16u); }
  workgroupBarrier();
  for (var e = lane; e < 1024; e += 128) {
    let i = i0 + e / 256 / 2 * 32 + 0 + e % 256 / 16;
    let j = j0 + e / 256 % 2 * 32 + 16 + e % 16;
    if (i < u.params[0].x && j < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i, j), results[e]); }
  }
  workgroupBarrier();
  if (busy) { subgroupMatrixStore<row_major>(&results, part_of * 256u, c1_0, 16u); }
  workgroupBarrier();
  for (var e = lane; e < 1024; e += 128) {
    let i = i0 + e / 256 / 2 * 32 + 16 + e % 256 / 16;
    let j = j0 + e / 256 % 2 * 32 + 0 + e % 16;
    if (i < u.params[0].x && j < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i, j), results[e]); }
  }
  workgroupBarrier();
  if (busy) { subgroupMatrixStore<row_major>(&results, part_of * 256u, c1_1, 16u); }
  workgroupBarrier();
  for (var e = lane; e < 1024; e += 128) {
    let i = i0 + e / 256 / 2 * 32 + 16 + e % 256 / 16;
    let j = j0 + e / 256 % 2 * 32 + 16 + e % 16;
    if (i < u.params[0].x && j < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i, j), results[e]); }
  }
  workgroupBarrier();
}

struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> m0: array<u32>;
@group(0) @binding(2) var<storage, read> m1: array<f32>;
fn pattern0(i: i32) -> u32 { let at = u.offsets[0].y + i; return (m0[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load0(i: i32) -> f32 { return from_f16(pattern0(i)); }
fn put_pair0(i: i32, pair: u32) { m0[(u.offsets[0].y + i) >> 1u] = pair; }
fn load1(i: i32) -> f32 { return m1[u.offsets[0].z + i]; }
fn from_f16(h: u32) -> f32 {
  let e = (h & 0x7fffu) << 13u;
  let small = bitcast<u32>(f32(h & 0x3ffu) * 0x1p-24f);
  let u = select(e + 0x38000000u, small, e < 0x00800000u);
  return bitcast<f32>(select(u, e | 0x7f800000u, e >= 0x0f800000u) | ((h & 0x8000u) << 16u));
}
fn to_f16(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  let a = u & 0x7fffffffu;
  let small = bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u;
  var r = select((a + 0xfffu + ((a >> 13u) & 1u) - 0x38000000u) >> 13u, small, a < 0x38800000u);
  r = select(select(r, 0x7c00u, a >= 0x477ff000u), 0x7e00u, a > 0x7f800000u);
  return r | ((u >> 16u) & 0x8000u);
}
fn round_f16(x: f32) -> f32 { return from_f16(to_f16(x)); }
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let i0 = 2 * (group * 256 + lane);
  if (i0 < u.params[0].x) {
    var p1 = 0u;
    var at2 = 0;
    for (var e3 = 0; e3 < 2; e3++) {
      let q = i0 + e3;
      if (q >= u.params[0].x) { break; }
      let v0 = q;
      let t4: f32 = load1(v0);
      let t5: f32 = t4;
      let t6: f32 = round_f16(t5);
      p1 |= to_f16(t5) << (16u * u32(e3));
      at2 = v0 - e3;
    }
    put_pair0(at2, p1);
  }
}
