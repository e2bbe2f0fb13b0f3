struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> m0: array<u32>;
@group(0) @binding(2) var<storage, read_write> m1: array<u32>;
fn pattern0(i: i32) -> u32 { let at = u.offsets[0].y + i; return (m0[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load0(i: i32) -> f32 { return from_f16(pattern0(i)); }
fn pattern1(i: i32) -> u32 { let at = u.offsets[0].z + i; return (m1[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load1(i: i32) -> f32 { return from_f16(pattern1(i)); }
fn put_pair1(i: i32, pair: u32) { m1[(u.offsets[0].z + i) >> 1u] = pair; }
fn no_bits() -> u32 { return u32(u.offsets[0].x) >> 31u; }
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | no_bits()); }
fn is_missing(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
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
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let x = lane / 128;
  let y = lane % 128;
  let row = group * 2 + x;
  let valid = row < u.params[0].x;
  let q = select(0, row, valid);
  let v0 = q;
  var a0: f32 = -infinity();
  for (var v1 = y; v1 < u.params[0].y; v1 += 128) {
    let t3: u32 = pattern0((u.params[0].y * v0 + v1));
    let t4: f32 = from_f16(t3);
    let t5: f32 = t4;
    a0 = largest(a0, t5);
  }
  shared_f32[lane] = a0;
  workgroupBarrier();
  if (y < 64) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 64]);
  }
  workgroupBarrier();
  if (y < 32) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 32]);
  }
  workgroupBarrier();
  if (y < 16) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 16]);
  }
  workgroupBarrier();
  if (y < 8) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 8]);
  }
  workgroupBarrier();
  if (y < 4) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 4]);
  }
  workgroupBarrier();
  if (y < 2) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 2]);
  }
  workgroupBarrier();
  if (y < 1) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 1]);
  }
  workgroupBarrier();
  let t6: f32 = shared_f32[x * 128];
  workgroupBarrier();
  if (valid && y == 0) {
    row2[x * 1 + 0] = t6;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var v2 = y; v2 < u.params[0].y; v2 += 128) {
      let t7: u32 = pattern0((u.params[0].y * v0 + v2));
      let t8: f32 = from_f16(t7);
      let t9: f32 = t8;
      let t10: f32 = row2[x * 1 + 0];
      let t11: f32 = (t9 - t10);
      let t12: f32 = exp_f32(t11);
      row3[x * 100 + v2] = t12;
    }
  }
  storageBarrier();
  workgroupBarrier();
  var a13: f32 = 0f;
  for (var v3 = y; v3 < u.params[0].y; v3 += 128) {
    let t16: f32 = row3[x * 100 + v3];
    a13 = a13 + t16;
  }
  shared_f32[lane] = a13;
  workgroupBarrier();
  if (y < 64) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 64];
  }
  workgroupBarrier();
  if (y < 32) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 32];
  }
  workgroupBarrier();
  if (y < 16) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 16];
  }
  workgroupBarrier();
  if (y < 8) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 8];
  }
  workgroupBarrier();
  if (y < 4) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 4];
  }
  workgroupBarrier();
  if (y < 2) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 2];
  }
  workgroupBarrier();
  if (y < 1) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 1];
  }
  workgroupBarrier();
  let t17: f32 = shared_f32[x * 128];
  workgroupBarrier();
  if (valid && y == 0) {
    row4[x * 1 + 0] = t17;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var i18 = 2 * y; i18 < u.params[0].y; i18 += 256) {
      var p19 = 0u;
      var at20 = 0;
      for (var e21 = 0; e21 < 2; e21++) {
        let v4 = i18 + e21;
        if (v4 >= u.params[0].y) { break; }
        let t22: f32 = row3[x * 100 + v4];
        let t23: f32 = row4[x * 1 + 0];
        let t24: f32 = (t22 / t23);
        let t25: f32 = t24;
        let t26: f32 = round_f16(t25);
        p19 |= to_f16(t25) << (16u * u32(e21));
        at20 = (u.params[0].y * v0 + v4) - e21;
      }
      put_pair1(at20, p19);
    }
  }
}
