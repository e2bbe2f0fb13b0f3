struct Uniforms {
  offsets: array<vec4<i32>, 1>,
  params: array<vec4<i32>, 1>,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> m0: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> m1: array<u32>;
@group(0) @binding(3) var<storage, read> m2: array<u32>;
fn pattern0(i: i32) -> u32 { let at = u.offsets[0].y + i; return (atomicLoad(&m0[at >> 1u]) >> (16u * u32(at & 1))) & 0xffffu; }
fn load0(i: i32) -> f32 { return from_f16(pattern0(i)); }
fn put0(i: i32, pattern: u32) {
  let at = u.offsets[0].y + i;
  let shift = 16u * u32(at & 1);
  atomicAnd(&m0[at >> 1u], 0xffff0000u >> shift);
  atomicOr(&m0[at >> 1u], pattern << shift);
}
fn store0(i: i32, v: f32) { put0(i, to_f16(v)); }
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
  let q = group * 256 + lane;
  if (q < u.params[0].x) {
    let v0 = q % u.params[0].y;
    let q0 = q / u.params[0].y;
    let v1 = q0;
    let t1: u32 = pattern1((v0 + u.params[0].y * v1));
    let t2: f32 = from_f16(t1);
    let t3: u32 = pattern2(v0);
    let t4: f32 = from_f16(t3);
    let t5: f32 = (t2 * t4);
    let t6: f32 = round_f16(t5);
    put0((v0 + u.params[0].y * v1), to_f16(t5));
  }
}
