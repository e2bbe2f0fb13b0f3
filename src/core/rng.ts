/** A 64-bit key as two u32 words. */
export type Key = readonly [number, number];

const PARITY = 0x1bd11bda;

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011), bit-compatible with JAX: key and counter in, two u32 words out. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const k2 = k0 ^ k1 ^ PARITY;
  let a = (c0 + k0) | 0;
  let b = (c1 + k1) | 0;
  a = (a + b) | 0;
  b = a ^ ((b << 13) | (b >>> 19));
  a = (a + b) | 0;
  b = a ^ ((b << 15) | (b >>> 17));
  a = (a + b) | 0;
  b = a ^ ((b << 26) | (b >>> 6));
  a = (a + b) | 0;
  b = a ^ ((b << 6) | (b >>> 26));
  a = (a + k1) | 0;
  b = (b + k2 + 1) | 0;
  a = (a + b) | 0;
  b = a ^ ((b << 17) | (b >>> 15));
  a = (a + b) | 0;
  b = a ^ ((b << 29) | (b >>> 3));
  a = (a + b) | 0;
  b = a ^ ((b << 16) | (b >>> 16));
  a = (a + b) | 0;
  b = a ^ ((b << 24) | (b >>> 8));
  a = (a + k2) | 0;
  b = (b + k0 + 2) | 0;
  a = (a + b) | 0;
  b = a ^ ((b << 13) | (b >>> 19));
  a = (a + b) | 0;
  b = a ^ ((b << 15) | (b >>> 17));
  a = (a + b) | 0;
  b = a ^ ((b << 26) | (b >>> 6));
  a = (a + b) | 0;
  b = a ^ ((b << 6) | (b >>> 26));
  a = (a + k0) | 0;
  b = (b + k1 + 3) | 0;
  a = (a + b) | 0;
  b = a ^ ((b << 17) | (b >>> 15));
  a = (a + b) | 0;
  b = a ^ ((b << 29) | (b >>> 3));
  a = (a + b) | 0;
  b = a ^ ((b << 16) | (b >>> 16));
  a = (a + b) | 0;
  b = a ^ ((b << 24) | (b >>> 8));
  a = (a + k1) | 0;
  b = (b + k2 + 4) | 0;
  a = (a + b) | 0;
  b = a ^ ((b << 13) | (b >>> 19));
  a = (a + b) | 0;
  b = a ^ ((b << 15) | (b >>> 17));
  a = (a + b) | 0;
  b = a ^ ((b << 26) | (b >>> 6));
  a = (a + b) | 0;
  b = a ^ ((b << 6) | (b >>> 26));
  return [(a + k2) >>> 0, (b + k0 + 5) >>> 0];
}

const high = (n: number): number => Math.floor(n / 2 ** 32) >>> 0;

/** The key of an integer seed in [0, 2^53); equals `jax.random.key_data(jax.random.key(seed))` for 32-bit seeds. */
export function seedKey(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed is ${seed}; it must be an integer from 0 to 2^53 - 1`);
  return [high(seed), seed >>> 0];
}

/** A new key from `key` and an integer in [0, 2^53), independent of the keys of other integers (JAX's `fold_in`). */
export const fold = (key: Key, n: number): Key => threefry2x32(key[0], key[1], high(n), n >>> 0);

/** A stream of random numbers that is a pure function of its key: draw i is Threefry-2x32 of (key, i). */
export class Rng {
  readonly key: Key;
  #counter = 0;

  constructor(key: Key) {
    this.key = key;
  }

  #draw(): [number, number] {
    const n = this.#counter++;
    return threefry2x32(this.key[0], this.key[1], high(n), n >>> 0);
  }

  /** Uniform in [low, high) with 53 random bits. */
  uniform(low = 0, high = 1): number {
    const [a, b] = this.#draw();
    return low + (high - low) * (((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53);
  }

  /** Uniform integer in [0, n); the bias, below n / 2^53, cannot be observed. */
  int(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.uniform() < p;
  }

  /** Normal with mean 0 and standard deviation 1 (Box-Muller; the tail ends at 6.6). */
  normal(): number {
    const [a, b] = this.#draw();
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
  }

  /** Fills with normals of deviation `std` around `mean`, both numbers of every Box-Muller pair. */
  fillNormal(values: Float32Array | Float64Array, mean: number, std: number): void {
    for (let i = 0; i < values.length; i += 2) {
      const [a, b] = this.#draw();
      const radius = std * Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
      const angle = (2 * Math.PI * b) / 2 ** 32;
      values[i] = mean + radius * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = mean + radius * Math.sin(angle);
    }
  }

  /** Fills with uniforms from low to high of 32 random bits each. */
  fillUniform(values: Float32Array | Float64Array, low: number, high: number): void {
    const scale = (high - low) / 2 ** 32;
    for (let i = 0; i < values.length; i += 2) {
      const [a, b] = this.#draw();
      values[i] = low + scale * a;
      if (i + 1 < values.length) values[i + 1] = low + scale * b;
    }
  }

  /** Gamma with shape `alpha` > 0 and scale 1 (Marsaglia and Tsang 2000). */
  gamma(alpha: number): number {
    if (alpha < 1) return this.gamma(alpha + 1) * (1 - this.uniform()) ** (1 / alpha);
    const d = alpha - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /** Beta(a, b) in [0, 1]. */
  beta(a: number, b: number): number {
    const x = this.gamma(a);
    const y = this.gamma(b);
    return x + y > 0 ? x / (x + y) : 0.5; // both underflow only for tiny a and b
  }

  /** Shuffles `items` in place (Fisher-Yates) and returns them. */
  shuffle<T extends { length: number; [index: number]: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = items[i];
      items[i] = items[j];
      items[j] = held;
    }
    return items;
  }

  /** A random order of 0 .. n-1. */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    return this.shuffle(Uint32Array.from({ length: n }, (_, i) => i));
  }
}
