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
fn is_negative(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) != 0u; }
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
fn with_sign(x: f32, s: f32) -> f32 { return select(abs(x), -abs(x), is_negative(s)); }
fn tanh_f32(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let p = ((((0x1.1a2e3ep-9f * z - 0x1.0c602p-7f) * z + 0x1.63a57ep-6f) * z - 0x1.b9f18ap-5f) * z
    + 0x1.11107ap-3f) * z - 0x1.555554p-2f;
  let big = 1.0 - 2.0 / (exp_f32(2.0 * a) + 1.0);
  return select(with_sign(select(big, a + a * (z * p), a < 0.625), x), x, is_missing(x));
}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) wn: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let group = i32(wid.x + wid.y * wn.x);
  let lane = i32(thread);
  if (group >= u.offsets[0].x) { return; }
  let q = group * 256 + lane;
  if (q < u.params[0].x) {
    let v0 = q;
    let t0: f32 = load1(v0);
    let t1: f32 = (t0 * 2f);
    let t2: f32 = (t1 + 1f);
    let t3: f32 = tanh_f32(t2);
    store0(v0, t3);
  }
}
