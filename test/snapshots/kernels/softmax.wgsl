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
    let t3: f32 = load0((u.params[0].y * v0 + v1));
    a0 = largest(a0, t3);
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
  let t4: f32 = shared_f32[x * 128];
  workgroupBarrier();
  if (valid && y == 0) {
    row2[x * 1 + 0] = t4;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var v2 = y; v2 < u.params[0].y; v2 += 128) {
      let t5: f32 = load0((u.params[0].y * v0 + v2));
      let t6: f32 = row2[x * 1 + 0];
      let t7: f32 = (t5 - t6);
      let t8: f32 = exp_f32(t7);
      row3[x * 100 + v2] = t8;
    }
  }
  storageBarrier();
  workgroupBarrier();
  var a9: f32 = 0f;
  for (var v3 = y; v3 < u.params[0].y; v3 += 128) {
    let t12: f32 = row3[x * 100 + v3];
    a9 = a9 + t12;
  }
  shared_f32[lane] = a9;
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
  let t13: f32 = shared_f32[x * 128];
  workgroupBarrier();
  if (valid && y == 0) {
    row4[x * 1 + 0] = t13;
  }
  storageBarrier();
  workgroupBarrier();
  if (valid) {
    for (var v4 = y; v4 < u.params[0].y; v4 += 128) {
      let t14: f32 = row3[x * 100 + v4];
      let t15: f32 = row4[x * 1 + 0];
      let t16: f32 = (t14 / t15);
      store1((u.params[0].y * v0 + v4), t16);
    }
  }
}
