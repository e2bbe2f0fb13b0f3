struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 2>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> m0: array<f32>;
@group(0) @binding(2) var<storage, read> m1: array<f32>;
@group(0) @binding(3) var<storage, read_write> m2: array<f32>;
fn load0(i: i32) -> f32 { return m0[u.offsets[0].y + i]; }
fn load1(i: i32) -> f32 { return m1[u.offsets[0].z + i]; }
fn load2(i: i32) -> f32 { return m2[u.offsets[0].w + i]; }
fn store2(i: i32, v: f32) { m2[u.offsets[0].w + i] = v; }
var<workgroup> left_tile: array<f32, 512>;
var<workgroup> right_tile: array<f32, 512>;
fn left_row(z: i32, i: i32) -> i32 { return i * u.params[1].y; }
fn left_term(z: i32, p: i32) -> i32 { return p; }
fn left(row: i32, term: i32) -> f32 { return load0(row + term); }
fn right_column(z: i32, j: i32) -> i32 { return j; }
fn right_term(z: i32, p: i32) -> i32 { return p * u.params[1].z; }
fn right(column: i32, term: i32) -> f32 { return load1(column + term); }
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * u.params[0].x + i) * u.params[0].y + j; }
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let across = (u.params[0].y + 31) / 32;
  let tiles = across * ((u.params[0].x + 31) / 32);
  let z = (group / tiles) % u.params[0].w;
  let part = group / tiles / u.params[0].w;
  let i0 = ((group % tiles) / across) * 32;
  let j0 = ((group % tiles) % across) * 32;
  let end = min(u.params[0].z, (part + 1) * u.params[1].x);
  let ti = lane / 16;
  let tj = lane % 16;
  var c0_0 = 0f;
  var c0_1 = 0f;
  var c1_0 = 0f;
  var c1_1 = 0f;
  let left_t = lane % 16;
  let left_s0 = lane / 16 + 0;
  let left_s1 = lane / 16 + 16;
  let left_line0 = left_row(z, min(i0 + left_s0, u.params[0].x - 1));
  let left_line1 = left_row(z, min(i0 + left_s1, u.params[0].x - 1));
  let right_s = lane % 32;
  let right_t0 = lane / 32 + 0;
  let right_t1 = lane / 32 + 8;
  let right_line0 = right_column(z, min(j0 + right_s, u.params[0].y - 1));
  for (var p0 = part * u.params[1].x; p0 < end; p0 += 16) {
    let left_term0 = left_term(z, min(p0 + left_t, end - 1));
    left_tile[left_t * 32 + left_s0] = select(0f, left(left_line0, left_term0), p0 + left_t < end && i0 + left_s0 < u.params[0].x);
    left_tile[left_t * 32 + left_s1] = select(0f, left(left_line1, left_term0), p0 + left_t < end && i0 + left_s1 < u.params[0].x);
    let right_term0 = right_term(z, min(p0 + right_t0, end - 1));
    let right_term1 = right_term(z, min(p0 + right_t1, end - 1));
    right_tile[right_t0 * 32 + right_s] = select(0f, right(right_line0, right_term0), p0 + right_t0 < end && j0 + right_s < u.params[0].y);
    right_tile[right_t1 * 32 + right_s] = select(0f, right(right_line0, right_term1), p0 + right_t1 < end && j0 + right_s < u.params[0].y);
    workgroupBarrier();
    for (var t = 0; t < 16; t++) {
      let a0 = left_tile[t * 32 + ti + 0];
      let a1 = left_tile[t * 32 + ti + 16];
      let b0 = right_tile[t * 32 + tj + 0];
      let b1 = right_tile[t * 32 + tj + 16];
      c0_0 += a0 * b0;
      c0_1 += a0 * b1;
      c1_0 += a1 * b0;
      c1_1 += a1 * b1;
    }
    workgroupBarrier();
  }
  if (i0 + ti + 0 < u.params[0].x && j0 + tj + 0 < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i0 + ti + 0, j0 + tj + 0), c0_0); }
  if (i0 + ti + 0 < u.params[0].x && j0 + tj + 16 < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i0 + ti + 0, j0 + tj + 16), c0_1); }
  if (i0 + ti + 16 < u.params[0].x && j0 + tj + 0 < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i0 + ti + 16, j0 + tj + 0), c1_0); }
  if (i0 + ti + 16 < u.params[0].x && j0 + tj + 16 < u.params[0].y) { store2(part * u.params[0].w * u.params[0].x * u.params[0].y + place(z, i0 + ti + 16, j0 + tj + 16), c1_1); }
}
