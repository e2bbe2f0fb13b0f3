enable subgroups;
requires subgroup_id;
struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> m0: array<f32>;
@group(0) @binding(2) var<storage, read_write> m1: array<f32>;
fn load0(i: i32) -> f32 { return m0[u.offsets[0].y + i]; }
fn load1(i: i32) -> f32 { return m1[u.offsets[0].z + i]; }
fn store1(i: i32, v: f32) { m1[u.offsets[0].z + i] = v; }
fn no_bits() -> u32 { return u32(u.offsets[0].x) >> 31u; }
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | no_bits()); }
fn is_missing(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn power_of_two(k: i32) -> f32 { return bitcast<f32>((k + 127) << 23u); }
fn less_ln2(x: f32, n: f32) -> f32 { return (x - n * 0.693359375) + n * 2.12194440e-4; }
fn exp_f32(x: f32) -> f32 {
  let c = select(clamp(x, -104.0, 89.0), 0.0, is_missing(x));
  let n = round(c * 1.44269504);
  let r = less_ln2(c, n);
  let p = ((((0x1.9dfbbp-13f * r + 0x1.6d4cbcp-10f) * r + 0x1.11130ep-7f) * r + 0x1.5554e8p-5f) * r
    + 0x1.555554p-3f) * r + 0.5;
  let k = i32(n);
  let h = k >> 1u;
  let y = (1.0 + (r + r * r * p)) * power_of_two(h) * power_of_two(k - h);
  return select(select(y, infinity(), x > 88.7228394), x, is_missing(x));
}
fn largest(x: f32, y: f32) -> f32 { return select(y, x, x > y || is_missing(x)); }
var<workgroup> shared_f32: array<f32, 256>;
var<workgroup> row2: array<f32, 2>;
var<workgroup> row3: array<f32, 200>;
var<workgroup> row4: array<f32, 2>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
        @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32,
        @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) member: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let full = subgroups * size == 256u;
  let lane = i32(select(thread, subgroup * size + member, full));
  let width = i32(select(1u, size, full));
  if (group >= u.offsets[0].x) { return; }
  let x = lane / 128;
  let y = lane % 128;
  let row = group * 2 + x;
  let valid = row < u.params[0].x;
  let q = select(0, row, valid);
  let v0 = q;
  var a0: f32 = -infinity();
  for (var v1 = y; v1 < u.params[0].y; v1 += 128) {
    let t3: f32 = load0((u.params[0].y * v0 + v1));
    a0 = largest(a0, t3);
  }
  let o4 = subgroupShuffleXor(a0, 1u);
  if (1 < width) {
    a0 = largest(a0, o4);
  }
  let o6 = subgroupShuffleXor(a0, 2u);
  if (2 < width) {
    a0 = largest(a0, o6);
  }
  let o8 = subgroupShuffleXor(a0, 4u);
  if (4 < width) {
    a0 = largest(a0, o8);
  }
  let o10 = subgroupShuffleXor(a0, 8u);
  if (8 < width) {
    a0 = largest(a0, o10);
  }
  let o12 = subgroupShuffleXor(a0, 16u);
  if (16 < width) {
    a0 = largest(a0, o12);
  }
  if (width < 128) {
    shared_f32[lane] = a0;
    workgroupBarrier();
    a0 = shared_f32[x * 128];
    for (var k14 = width; k14 < 128; k14 += width) {
      a0 = largest(a0, shared_f32[x * 128 + k14]);
    }
    workgroupBarrier();
  }
  let t15: f32 = a0;
  if (valid && y == 0) {
    row2[x * 1 + 0] = t15;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var v2 = y; v2 < u.params[0].y; v2 += 128) {
      let t16: f32 = load0((u.params[0].y * v0 + v2));
      let t17: f32 = row2[x * 1 + 0];
      let t18: f32 = (t16 - t17);
      let t19: f32 = exp_f32(t18);
      row3[x * 100 + v2] = t19;
    }
  }
  storageBarrier();
  workgroupBarrier();
  var a20: f32 = 0f;
  for (var v3 = y; v3 < u.params[0].y; v3 += 128) {
    let t23: f32 = row3[x * 100 + v3];
    a20 = a20 + t23;
  }
  let o24 = subgroupShuffleXor(a20, 1u);
  if (1 < width) {
    a20 = a20 + o24;
  }
  let o26 = subgroupShuffleXor(a20, 2u);
  if (2 < width) {
    a20 = a20 + o26;
  }
  let o28 = subgroupShuffleXor(a20, 4u);
  if (4 < width) {
    a20 = a20 + o28;
  }
  let o30 = subgroupShuffleXor(a20, 8u);
  if (8 < width) {
    a20 = a20 + o30;
  }
  let o32 = subgroupShuffleXor(a20, 16u);
  if (16 < width) {
    a20 = a20 + o32;
  }
  if (width < 128) {
    shared_f32[lane] = a20;
    workgroupBarrier();
    a20 = shared_f32[x * 128];
    for (var k34 = width; k34 < 128; k34 += width) {
      a20 = a20 + shared_f32[x * 128 + k34];
    }
    workgroupBarrier();
  }
  let t35: f32 = a20;
  if (valid && y == 0) {
    row4[x * 1 + 0] = t35;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var v4 = y; v4 < u.params[0].y; v4 += 128) {
      let t36: f32 = row3[x * 100 + v4];
      let t37: f32 = row4[x * 1 + 0];
      let t38: f32 = (t36 / t37);
      store1((u.params[0].y * v0 + v4), t38);
    }
  }
}
