struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> m0: array<f32>;
@group(0) @binding(2) var<storage, read> m1: array<f32>;
fn load0(i: i32) -> f32 { return m0[u.offsets[0].y + i]; }
fn store0(i: i32, v: f32) { m0[u.offsets[0].y + i] = v; }
fn load1(i: i32) -> f32 { return m1[u.offsets[0].z + i]; }
fn no_bits() -> u32 { return u32(u.offsets[0].x) >> 31u; }
fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | no_bits()); }
fn is_missing(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn largest(x: f32, y: f32) -> f32 { return select(y, x, x > y || is_missing(x)); }
var<workgroup> shared_f32: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let x = lane / 256;
  let y = lane % 256;
  let row = group * 1 + x;
  let valid = row < 1;
  let q = select(0, row, valid);
  var a0: f32 = -infinity();
  for (var v0 = y; v0 < u.params[0].x; v0 += 256) {
    var t3: f32 = 0f;
    if ((v0 + -1) >= 0 && (v0 + -1) < u.params[0].y) {
      let t4: f32 = load1((v0 + -1));
      t3 = t4;
    }
    a0 = largest(a0, t3);
  }
  shared_f32[lane] = a0;
  workgroupBarrier();
  if (y < 128) {
    shared_f32[lane] = largest(shared_f32[lane], shared_f32[lane + 128]);
  }
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
  let t5: f32 = shared_f32[x * 256];
  workgroupBarrier();
  if (valid && y == 0) {
    store0(0, t5);
  }
}
