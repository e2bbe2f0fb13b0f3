/**
 * Functions that shaders call, by name. WGSL lets a compiler assume that there are no infinities and no NaN and that
 * x - ((1 + x) - 1) is 0, so such values come from bits that it cannot see through (the number of workgroups is below
 * 2^31, which no compiler knows), and NaN is told by its bits. Polynomials and their errors are those of native/kernel.h.
 */
const functions: Record<string, string> = {
  no_bits: "fn no_bits() -> u32 { return u32(u.offsets[0].x) >> 31u; }",
  as_it_is: "fn as_it_is(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) | no_bits()); }",
  infinity: "fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | no_bits()); }",
  missing: "fn missing() -> f32 { return bitcast<f32>(0x7fc00000u | no_bits()); }",
  is_missing: "fn is_missing(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }",
  is_infinite: "fn is_infinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }",
  is_negative: "fn is_negative(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) != 0u; }",

  // The 16-bit floats: `from` reads a pattern, `to` gives that of the nearest value, ties to even. By integers, since what
  // WGSL's own conversions do with ties, overflow and subnormals is left to the device. Of f16, see native/kernel.h.
  from_bf16: "fn from_bf16(h: u32) -> f32 { return bitcast<f32>(h << 16u); }",
  to_bf16: `fn to_bf16(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  return select((u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u, 0x7fc0u, is_missing(x));
}`,
  from_f16: `fn from_f16(h: u32) -> f32 {
  let e = (h & 0x7fffu) << 13u;
  let small = bitcast<u32>(f32(h & 0x3ffu) * 0x1p-24f);
  let u = select(e + 0x38000000u, small, e < 0x00800000u);
  return bitcast<f32>(select(u, e | 0x7f800000u, e >= 0x0f800000u) | ((h & 0x8000u) << 16u));
}`,
  to_f16: `fn to_f16(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  let a = u & 0x7fffffffu;
  let small = bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u;
  var r = select((a + 0xfffu + ((a >> 13u) & 1u) - 0x38000000u) >> 13u, small, a < 0x38800000u);
  r = select(select(r, 0x7c00u, a >= 0x477ff000u), 0x7e00u, a > 0x7f800000u);
  return r | ((u >> 16u) & 0x8000u);
}`,
  round_bf16: "fn round_bf16(x: f32) -> f32 { return from_bf16(to_bf16(x)); }",
  round_f16: "fn round_f16(x: f32) -> f32 { return from_f16(to_f16(x)); }",

  // Counts from the end if negative, then clamped.
  position: "fn position(i: i32, n: i32) -> i32 { return clamp(select(i, i + n, i < 0), 0, n - 1); }",
  floor_div: `fn floor_div(x: i32, n: i32) -> i32 {
  return select(x / n, -((-x + n - 1) / n), x < 0);
}`,
  floor_mod: `fn floor_mod(x: i32, n: i32) -> i32 {
  let r = x % n;
  return select(r, r + n, r < 0);
}`,

  f32_to_i32: `fn f32_to_i32(x: f32) -> i32 {
  if (is_missing(x)) { return 0; }
  if (x >= 2147483648.0) { return 2147483647; }
  if (x <= -2147483648.0) { return i32(-2147483648); }
  return i32(x);
}`,
  f32_to_u32: `fn f32_to_u32(x: f32) -> u32 {
  if (is_missing(x) || x <= 0.0) { return 0u; }
  if (x >= 4294967296.0) { return 4294967295u; }
  return u32(x);
}`,
  f32_to_u8: "fn f32_to_u8(x: f32) -> u32 { return min(f32_to_u32(x), 255u); }",

  sign_f32: "fn sign_f32(x: f32) -> f32 { return select(f32(i32(x > 0.0) - i32(x < 0.0)), x, is_missing(x)); }",
  sign_i32: "fn sign_i32(x: i32) -> i32 { return i32(x > 0) - i32(x < 0); }",
  sign_u32: "fn sign_u32(x: u32) -> u32 { return u32(x > 0u); }",
  div_i32: `fn div_i32(x: i32, y: i32) -> i32 {
  if (y == 0) { return 0; }
  return select(x / select(y, 1, y == -1), -x, y == -1);
}`,
  div_u32: "fn div_u32(x: u32, y: u32) -> u32 { return select(x / max(y, 1u), 0u, y == 0u); }",
  mod_f32: "fn mod_f32(x: f32, y: f32) -> f32 { return x - y * floor(x / y); }",
  mod_i32: `fn mod_i32(x: i32, y: i32) -> i32 {
  if (y == 0 || y == -1) { return 0; }
  let r = x % y;
  return select(r, r + y, r != 0 && (r < 0) != (y < 0));
}`,
  mod_u32: "fn mod_u32(x: u32, y: u32) -> u32 { return select(x % max(y, 1u), 0u, y == 0u); }",
  pow_i32: `fn pow_i32(x: i32, y: i32) -> i32 {
  if (y < 0) { return select(select(0, select(1, x, (y & 1) != 0), x == -1), 1, x == 1); }
  var r = 1; var b = x; var e = y;
  for (; e != 0; e = e >> 1u) {
    if ((e & 1) != 0) { r = r * b; }
    b = b * b;
  }
  return r;
}`,
  pow_u32: `fn pow_u32(x: u32, y: u32) -> u32 {
  var r = 1u; var b = x; var e = y;
  for (; e != 0u; e = e >> 1u) {
    if ((e & 1u) != 0u) { r = r * b; }
    b = b * b;
  }
  return r;
}`,

  power_of_two: "fn power_of_two(k: i32) -> f32 { return bitcast<f32>((k + 127) << 23u); }",
  less_ln2: "fn less_ln2(x: f32, n: f32) -> f32 { return (x - n * 0.693359375) + n * 2.12194440e-4; }",
  exp_f32: `fn exp_f32(x: f32) -> f32 {
  let c = select(clamp(x, -104.0, 89.0), 0.0, is_missing(x));
  let n = round(c * 1.44269504);
  let r = less_ln2(c, n);
  let p = ((((0x1.9dfbbp-13f * r + 0x1.6d4cbcp-10f) * r + 0x1.11130ep-7f) * r + 0x1.5554e8p-5f) * r
    + 0x1.555554p-3f) * r + 0.5;
  let k = i32(n);
  let h = k >> 1u;
  let y = (1.0 + (r + r * r * p)) * power_of_two(h) * power_of_two(k - h);
  return select(select(y, infinity(), x > 88.7228394), x, is_missing(x));
}`,
  expm1_f32: `fn expm1_f32(x: f32) -> f32 {
  let c = select(clamp(x, -18.0, 89.0), 0.0, is_missing(x));
  let n = round(c * 1.44269504);
  let r = less_ln2(c, n);
  let p = ((((0x1.9e72dcp-13f * r + 0x1.6d3a3ap-10f) * r + 0x1.1112d8p-7f) * r + 0x1.5554f8p-5f) * r
    + 0x1.555554p-3f) * r + 0.5;
  let half = power_of_two(i32(n) - 1);
  var y = 2.0 * (half * (r + r * r * p) + (half - 0.5));
  y = select(y, infinity(), x > 88.7228394);
  y = select(y, r + r * r * p, n == 0.0);
  return select(y, x, x == 0.0 || is_missing(x));
}`,
  log_parts: `fn log_parts(n: f32, f: f32) -> f32 {
  var p = 0x1.1484e8p-4f * f - 0x1.de1004p-4f;
  p = p * f + 0x1.e6c03ep-4f;
  p = p * f - 0x1.fc26acp-4f;
  p = p * f + 0x1.233b78p-3f;
  p = p * f - 0x1.555c4ep-3f;
  p = p * f + 0x1.99a478p-3f;
  p = p * f - 0x1.000006p-2f;
  p = p * f + 0x1.555548p-2f;
  let z = f * f;
  return n * 0.693145752 + (f - (0.5 * z - (z * f * p + n * 1.42860682e-6)));
}`,
  log_f32: `fn log_f32(x: f32) -> f32 {
  let tiny = x < 1.17549435e-38;
  let y = select(x, x * 16777216.0, tiny);
  let i = bitcast<i32>(y);
  let e = (i - 0x3f3504f3) >> 23u;
  var r = log_parts(f32(e) - select(0.0, 24.0, tiny), bitcast<f32>(i - (e << 23u)) - 1.0);
  r = select(r, x, is_infinite(x));
  r = select(r, -infinity(), x == 0.0);
  return select(r, missing(), x < 0.0 || is_missing(x));
}`,
  log1p_f32: `fn log1p_f32(x: f32) -> f32 {
  let y = as_it_is(1.0 + x);
  let lost = select(0.0, x - (y - 1.0), x < 16777216.0);
  let i = bitcast<i32>(y);
  let e = (i - 0x3f3504f3) >> 23u;
  let f = (bitcast<f32>(i - (e << 23u)) - 1.0) + lost * power_of_two(max(-e, -126));
  var r = log_parts(f32(e), f);
  r = select(r, x, is_infinite(x) || x == 0.0);
  r = select(r, -infinity(), x == -1.0);
  return select(r, missing(), x < -1.0 || is_missing(x));
}`,
  // Not by bits: Mesa 26.2 takes a choice of bits between x and an s that has been shifted for another one.
  with_sign: "fn with_sign(x: f32, s: f32) -> f32 { return select(abs(x), -abs(x), is_negative(s)); }",
  tanh_f32: `fn tanh_f32(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let p = ((((0x1.1a2e3ep-9f * z - 0x1.0c602p-7f) * z + 0x1.63a57ep-6f) * z - 0x1.b9f18ap-5f) * z
    + 0x1.11107ap-3f) * z - 0x1.555554p-2f;
  let big = 1.0 - 2.0 / (exp_f32(2.0 * a) + 1.0);
  return select(with_sign(select(big, a + a * (z * p), a < 0.625), x), x, is_missing(x));
}`,
  erf_f32: `fn erf_f32(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let c = min(a, 4.0);
  let p = (((((0x1.4771fcp-14f * z - 0x1.a3515ep-11f) * z + 0x1.53f224p-8f) * z - 0x1.b7f71ap-6f) * z
    + 0x1.ce2ce6p-4f) * z - 0x1.81273ep-2f) * z + 0x1.06eba8p-3f;
  let q = (((((0x1.86debep-13f * c - 0x1.825bcap-9f) * c + 0x1.65cbdcp-6f) * c - 0x1.a65372p-4f) * c
    - 0x1.46bae6p-1f) * c - 0x1.2088ecp+0f) * c - 0x1.661a16p-12f;
  let y = select(with_sign(1.0 - exp_f32(q), x), x + x * p, a < 1.0);
  return select(y, x, is_missing(x));
}`,
  atan_f32: `fn atan_f32(x: f32) -> f32 {
  let a = abs(x);
  let far = a > 1.0;
  let t = select(a, select(1.0 / a, 0.0, is_infinite(x)), far);
  let z = t * t;
  var p = -0x1.d4fbbap-10f * z + 0x1.64f734p-7f;
  p = p * z - 0x1.fe2b58p-6f;
  p = p * z + 0x1.da74f8p-5f;
  p = p * z - 0x1.581b4p-4f;
  p = p * z + 0x1.c09124p-4f;
  p = p * z - 0x1.2420d8p-3f;
  p = p * z + 0x1.9991e8p-3f;
  p = p * z - 0x1.55553ep-2f;
  let r = t * (z * p);
  let y = select(t + r, 1.57079637 - (t + (r + 4.37113883e-8)), far);
  return select(with_sign(y, x), x, is_missing(x));
}`,
  high_product: `fn high_product(x: u32, y: u32) -> u32 {
  let low = (x & 0xffffu) * (y & 0xffffu);
  let a = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
  let b = (x & 0xffffu) * (y >> 16u) + (a & 0xffffu);
  return (x >> 16u) * (y >> 16u) + (a >> 16u) + (b >> 16u);
}`,
  // The quarter turns of |x| (Payne and Hanek 1983): the 24 bits of x times those bits of 2/pi that do not give whole
  // turns. Returns the number of quarters modulo 4 and what is left of the angle, in [-pi/4, pi/4].
  quarters: `const two_over_pi = array<u32, 8>(
  0u, 0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u);
struct Quarters { count: u32, rest: f32 }
fn quarters(a: f32) -> Quarters {
  let bits = bitcast<u32>(a);
  let exponent = bits >> 23u;
  if (exponent < 126u) { return Quarters(0u, a); }
  // a = m 2^(exponent - 158) with m of 32 bits; the window of 96 bits of 2/pi begins with those worth two quarters.
  let m = (bits << 8u) | 0x80000000u;
  let skip = exponent - 96u;
  let word = skip >> 5u;
  let shift = skip & 31u;
  var w: array<u32, 3>;
  for (var i = 0u; i < 3u; i++) {
    let low = select(0u, two_over_pi[word + i + 1u] >> (32u - max(shift, 1u)), shift > 0u);
    w[i] = (two_over_pi[word + i] << shift) | low;
  }
  let m1 = m * w[1];
  let middle = m1 + high_product(m, w[2]);
  let top = m * w[0] + high_product(m, w[1]) + u32(middle < m1);
  // Two bits of quarters, then 62 of the fraction, which becomes its distance to the nearest quarter.
  let f1 = (top << 2u) | (middle >> 30u);
  let f0 = middle << 2u;
  let negative = (f1 >> 31u) != 0u;
  let g0 = select(f0, ~f0 + 1u, negative);
  let g1 = select(f1, ~f1 + u32(f0 == 0u), negative);
  let lead = countLeadingZeros(g1);
  let n = select((g1 << lead) | select(0u, g0 >> (32u - max(lead, 1u)), lead > 0u), g0, lead >= 32u);
  // pi/2 in fixed point: the angle is rounded once, when it becomes a float.
  let rest = f32(high_product(n, 0xc90fdaa2u)) * power_of_two(-i32(min(lead, 32u)) - 31);
  return Quarters(((top >> 30u) + u32(negative)) & 3u, select(rest, -rest, negative));
}`,
  sine: `fn sine(x: f32, shift: u32) -> f32 {
  let turned = quarters(abs(x));
  let quarter = turned.count;
  let r = turned.rest;
  let z = r * r;
  let p = ((0x1.7c345ep-19f * z - 0x1.a05964p-13f) * z + 0x1.111174p-7f) * z - 0x1.555556p-3f;
  let q = (0x1.99e81p-16f * z - 0x1.6c0c28p-10f) * z + 0x1.55554ap-5f;
  let s = r + r * (z * p);
  let c = (1.0 - 0.5 * z) + z * (z * q);
  let n = quarter + shift;
  let v = select(s, c, (n & 1u) != 0u);
  return select(v, -v, (n & 2u) != 0u);
}`,
  sin_f32: `fn sin_f32(x: f32) -> f32 {
  if (is_missing(x) || is_infinite(x)) { return missing(); }
  return select(sine(x, 0u), -sine(x, 0u), is_negative(x));
}`,
  cos_f32: `fn cos_f32(x: f32) -> f32 {
  if (is_missing(x) || is_infinite(x)) { return missing(); }
  return sine(x, 1u);
}`,
  // |x|^y is exp(y log |x|) with the logarithm in two parts, so that the error does not grow with it.
  pow_f32: `fn pow_f32(x: f32, y: f32) -> f32 {
  if (y == 0.0 || x == 1.0) { return 1.0; }
  if (is_missing(x) || is_missing(y)) { return missing(); }
  let a = abs(x);
  if (a == 1.0 && is_infinite(y)) { return 1.0; }
  let whole = floor(y) == y;
  let odd = whole && abs(y) < 16777216.0 && (i32(y) & 1) != 0;
  var r: f32;
  if (whole && abs(y) <= 32.0) {
    r = 1.0;
    var b = a;
    for (var e = i32(abs(y)); e != 0; e = e >> 1u) {
      if ((e & 1) != 0) { r = r * b; }
      b = b * b;
    }
    if (y < 0.0) { r = 1.0 / r; }
    if (a == 0.0 && y < 0.0) { r = infinity(); }
  } else if (a == 0.0) { r = select(0.0, infinity(), y < 0.0); }
  else if (is_infinite(x)) { r = select(infinity(), 0.0, y < 0.0); }
  else if (is_infinite(y)) { r = select(0.0, infinity(), (a > 1.0) == (y > 0.0)); }
  else {
    let i = bitcast<i32>(a);
    let e = (i - 0x3f3504f3) >> 23u;
    // The mantissa's logarithm is below 0.35: only the whole part needs care.
    let m = log_f32(bitcast<f32>(i - (e << 23u)));
    let n = round(y * f32(e));
    let left = fma(y, f32(e), -n);
    let scale = clamp(n, -300.0, 300.0);
    let t = y * m + left * 0.693147181;
    let k = i32(clamp(round(t * 1.44269504), -300.0, 300.0));
    let all = i32(scale) + k;
    let body = exp_f32(t - f32(k) * 0.693147181);
    let half = clamp(all, -250, 250) >> 1u;
    r = select(body * power_of_two(half) * power_of_two(clamp(all, -250, 250) - half), infinity(), all > 200);
  }
  if (is_negative(x)) {
    if (!whole && a != 0.0 && !is_infinite(x)) { return missing(); }
    r = select(r, -r, odd);
  }
  return r;
}`,

  // Word 0 of Threefry-2x32, 20 rounds (Salmon et al. 2011).
  threefry: `fn threefry(k0: u32, k1: u32, c0: u32, c1: u32) -> u32 {
  let keys = array<u32, 3>(k0, k1, k0 ^ k1 ^ 0x1bd11bdau);
  let turns = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var a = c0 + k0;
  var b = c1 + k1;
  for (var i = 0u; i < 5u; i++) {
    for (var j = 0u; j < 4u; j++) {
      let r = turns[(i & 1u) * 4u + j];
      a += b;
      b = ((b << r) | (b >> (32u - r))) ^ a;
    }
    a += keys[(i + 1u) % 3u];
    b += keys[(i + 2u) % 3u] + i + 1u;
  }
  return a;
}`,

  // Whether a later candidate replaces the best so far; NaN is the best of all, the first of equals wins.
  above: `fn above(v: f32, i: i32, best: f32, at: i32) -> bool {
  if (is_missing(v)) { return !is_missing(best) || i < at; }
  return !is_missing(best) && (v > best || (v == best && i < at));
}`,
  above_i32: "fn above_i32(v: i32, i: i32, best: i32, at: i32) -> bool { return v > best || (v == best && i < at); }",
  above_u32: "fn above_u32(v: u32, i: i32, best: u32, at: i32) -> bool { return v > best || (v == best && i < at); }",
  below: `fn below(v: f32, i: i32, best: f32, at: i32) -> bool {
  if (is_missing(v)) { return !is_missing(best) || i < at; }
  return !is_missing(best) && (v < best || (v == best && i < at));
}`,
  below_i32: "fn below_i32(v: i32, i: i32, best: i32, at: i32) -> bool { return v < best || (v == best && i < at); }",
  below_u32: "fn below_u32(v: u32, i: i32, best: u32, at: i32) -> bool { return v < best || (v == best && i < at); }",
  largest: "fn largest(x: f32, y: f32) -> f32 { return select(y, x, x > y || is_missing(x)); }",
  smallest: "fn smallest(x: f32, y: f32) -> f32 { return select(y, x, x < y || is_missing(x)); }",
};

/** The functions that `body` calls, directly or by way of others. */
export function functionsFor(body: string): string {
  const used = new Set<string>();
  const visit = (text: string) => {
    for (const [, name] of text.matchAll(/\b([a-z]\w*)\(/g))
      if (name in functions && !used.has(name)) {
        used.add(name);
        visit(functions[name]);
      }
  };
  visit(body);
  return Object.keys(functions)
    .flatMap((name) => (used.has(name) ? [functions[name]] : []))
    .join("\n");
}
