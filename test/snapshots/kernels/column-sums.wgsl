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
var<workgroup> shared_f32: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let x = lane % 16;
  let y = lane / 16;
  let row = group * 16 + x;
  let valid = row < u.params[0].x;
  let q = select(0, row, valid);
  let v0 = q;
  var a0: f32 = 0f;
  for (var v1 = y; v1 < u.params[0].y; v1 += 16) {
    let t3: f32 = load1((v0 + u.params[0].x * v1));
    let t4: f32 = (t3 * t3);
    a0 = a0 + t4;
  }
  shared_f32[lane] = a0;
  workgroupBarrier();
  if (y < 8) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 128];
  }
  workgroupBarrier();
  if (y < 4) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 64];
  }
  workgroupBarrier();
  if (y < 2) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 32];
  }
  workgroupBarrier();
  if (y < 1) {
    shared_f32[lane] = shared_f32[lane] + shared_f32[lane + 16];
  }
  workgroupBarrier();
  let t5: f32 = shared_f32[x];
  workgroupBarrier();
  if (valid && y == 0) {
    store0(v0, t5);
  }
}
