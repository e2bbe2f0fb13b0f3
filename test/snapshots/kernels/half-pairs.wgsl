struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> m0: array<u32>;
@group(0) @binding(2) var<storage, read> m1: array<u32>;
@group(0) @binding(3) var<storage, read> m2: array<u32>;
fn pattern0(i: i32) -> u32 { let at = u.offsets[0].y + i; return (m0[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load0(i: i32) -> f32 { return from_f16(pattern0(i)); }
fn put_pair0(i: i32, pair: u32) { m0[(u.offsets[0].y + i) >> 1u] = pair; }
fn pattern1(i: i32) -> u32 { let at = u.offsets[0].z + i; return (m1[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load1(i: i32) -> f32 { return from_f16(pattern1(i)); }
fn pattern2(i: i32) -> u32 { let at = u.offsets[0].w + i; return (m2[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu; }
fn load2(i: i32) -> f32 { return from_f16(pattern2(i)); }
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
      let v0 = q % u.params[0].y;
      let q4 = q / u.params[0].y;
      let v1 = q4;
      let t5: u32 = pattern1((v0 + u.params[0].y * v1));
      let t6: f32 = from_f16(t5);
      let t7: u32 = pattern2(v0);
      let t8: f32 = from_f16(t7);
      let t9: f32 = (t6 * t8);
      let t10: f32 = round_f16(t9);
      p1 |= to_f16(t9) << (16u * u32(e3));
      at2 = (v0 + u.params[0].y * v1) - e3;
    }
    put_pair0(at2, p1);
  }
}
