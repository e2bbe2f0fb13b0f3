import { type DType, isFloat, storeValues } from "../../src/core/dtype.ts";
import { Rng, seedKey } from "../../src/core/rng.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import * as b from "../../src/primitives/broadcast.ts";
import * as c from "../../src/primitives/contract.ts";
import * as e from "../../src/primitives/elementwise.ts";
import * as ix from "../../src/primitives/indexing.ts";
import * as l from "../../src/primitives/leaf.ts";
import * as m from "../../src/primitives/movement.ts";
import * as r from "../../src/primitives/reduce.ts";

/** Largest node, so that the plain loops of the reference stay fast. */
const mostElements = 20000;
const sizes = [0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 13, 16, 17, 33, 65] as const;
const integers = ["i32", "u32", "u8"] as const;

/**
 * Draws graphs from the whole set of primitives. Operations that jump (comparison, rounding, sorting) are applied only
 * to values that no float arithmetic has touched, because a last bit may differ there between backends.
 */
export class GraphSampler {
  private readonly rng: Rng;
  private readonly float: DType;
  private readonly exact = new Set<Node>();
  private readonly pool: Node[] = [];

  constructor(seed: number, float: "f32" | "f64" | "f16" | "bf16") {
    this.rng = new Rng(seedKey(seed));
    this.float = float;
    for (let i = 0; i < 4; i++) this.fresh(this.shape());
  }

  /** Makes `steps` nodes and returns some of them, the last one included. */
  sample(steps: number): Node[] {
    for (let i = 0; i < steps; i++) this.step();
    const outputs = this.pool.filter((_, i) => i === this.pool.length - 1 || this.chance(0.2));
    return outputs.slice(-6);
  }

  private step(): void {
    const before = this.pool.length;
    // A rule may find no operand that it applies to.
    for (let tries = 0; this.pool.length === before && tries < 50; tries++) this.choose(rules)(this);
  }

  // Choices

  choose<T>(list: readonly T[]): T {
    return list[this.integer(list.length)];
  }
  integer(below: number): number {
    return this.rng.int(below);
  }
  private chance(p: number): boolean {
    return this.rng.chance(p);
  }

  private shape(): number[] {
    for (;;) {
      const shape = Array.from({ length: this.integer(6) }, () => this.choose(sizes));
      if (sizeOf(shape) <= mostElements / 8 && (sizeOf(shape) > 0 || this.chance(0.2))) return shape;
    }
  }

  /** A leaf of random values, sometimes a constant or positions. */
  fresh(shape: Shape, dtype: DType = this.chance(0.7) ? this.float : this.choose(integers)): Node {
    if (this.chance(0.1) && shape.length) return this.add(l.iota(shape, this.integer(shape.length), dtype), true);
    if (this.chance(0.1)) return this.add(l.constant(this.choose([0, 1, 2, 3]), shape, dtype), true);
    const values = Array.from({ length: sizeOf(shape) }, () =>
      isFloat(dtype) ? Math.fround(this.rng.uniform(-1, 1)) : dtype === "bool" ? this.integer(2) : this.integer(9),
    );
    return this.add(l.data({ shape, dtype, data: storeValues(values, dtype) }), true);
  }

  add(node: Node, exact: boolean): Node {
    if (sizeOf(node.shape) > mostElements) return node;
    if (exact) this.exact.add(node);
    this.pool.push(node);
    return node;
  }

  /** A node of the pool, recent ones more often. */
  pick(accepts: (node: Node) => boolean = () => true): Node | null {
    const fit = this.pool.filter(accepts);
    if (fit.length === 0) return null;
    return this.chance(0.5) ? this.choose(fit.slice(-4)) : this.choose(fit);
  }

  isExact = (...nodes: Node[]): boolean => nodes.every((n) => this.exact.has(n) || !isFloat(n.dtype));

  /** A node with x's shape and dtype: from the pool, broadcast from it, or new. */
  partner(x: Node, exactOnly = false): Node {
    const fits = (n: Node) => n.dtype === x.dtype && (!exactOnly || this.isExact(n));
    const same = this.pick((n) => fits(n) && n.shape.join() === x.shape.join());
    if (same && this.chance(0.6)) return same;
    const wider = this.pick(
      (n) =>
        fits(n) &&
        n.shape.length <= x.shape.length &&
        n.shape.every((d, i) => [1, x.shape.at(i - n.shape.length)].includes(d)),
    );
    if (wider && this.chance(0.7)) {
      const ones = new Array<number>(x.shape.length - wider.shape.length).fill(1);
      const out = b.broadcast(b.reshape(wider, [...ones, ...wider.shape]), x.shape);
      if (this.isExact(wider)) this.exact.add(out);
      return out;
    }
    const narrow = x.shape.map((d) => (this.chance(0.4) ? 1 : d));
    const made = b.broadcast(this.fresh(narrow, x.dtype), x.shape);
    this.exact.add(made);
    return made;
  }

  axes(x: Node): number[] {
    return x.shape.flatMap((_, i) => (this.chance(0.5) ? [i] : []));
  }
  axis(x: Node): number {
    return this.integer(x.shape.length);
  }
  index(shape: Shape, length: number): Node {
    const data = new Int32Array(sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = this.integer(2 * length) - length;
    return l.data({ shape, dtype: "i32", data });
  }
}

type Rule = (s: GraphSampler) => void;

const isFloatNode = (n: Node) => isFloat(n.dtype);
const isNumber = (n: Node) => n.dtype !== "bool";
const hasAxis = (n: Node) => n.shape.length > 0;
const isFull = (n: Node) => sizeOf(n.shape) > 0;

/** Bounded and smooth, so that errors do not grow from node to node. */
const smooth = [
  e.sin,
  e.cos,
  e.tanh,
  e.atan,
  e.erf,
  (x: Node) => e.sqrt(e.add(e.mul(x, x), l.constantLike(x, 0.5))),
  (x: Node) => e.log(e.add(e.abs(x), l.constantLike(x, 1))),
  (x: Node) => e.log1p(e.abs(x)),
  (x: Node) => e.exp(e.tanh(x)),
  (x: Node) => e.expm1(e.sin(x)),
  (x: Node) => e.div(x, e.add(e.mul(x, x), l.constantLike(x, 1))),
  (x: Node) => e.pow(e.add(e.abs(e.tanh(x)), l.constantLike(x, 0.5)), l.constantLike(x, 1.5)),
];

const jumps = [e.floor, e.ceil, e.round, e.sign];
const comparisons = [e.eq, e.ne, e.lt, e.le, e.gt, e.ge];

const unary: Rule = (s) => {
  const x = s.pick(isNumber);
  if (!x) return;
  if (!isFloat(x.dtype)) s.add(s.choose([e.neg, e.abs, e.sign])(x), true);
  else if (s.isExact(x) && s.integer(4) === 0) s.add(s.choose(jumps)(x), true);
  else if (s.integer(4) === 0) s.add(s.choose([e.neg, e.abs])(x), s.isExact(x));
  else s.add(s.choose(smooth)(x), false);
};

const binary: Rule = (s) => {
  const x = s.pick(isNumber);
  if (!x) return;
  const y = s.partner(x);
  const float = isFloat(x.dtype);
  if (s.integer(3) === 0) s.add(s.choose([e.maximum, e.minimum])(x, y), s.isExact(x, y));
  else if (float) s.add(s.choose([e.add, e.sub, e.mul])(x, y), false);
  else s.add(s.choose([e.add, e.sub, e.mul, e.div, e.mod, e.and, e.or, e.xor])(x, y), true);
};

const compare: Rule = (s) => {
  const x = s.pick((n) => s.isExact(n));
  if (x) s.add(s.choose(comparisons)(x, s.partner(x, true)), true);
};

const select: Rule = (s) => {
  const condition = s.pick((n) => n.dtype === "bool");
  if (!condition) return compare(s);
  const x = s.pick((n) => n.shape.join() === condition.shape.join()) ?? s.fresh(condition.shape);
  const y = s.partner(x);
  s.add(e.where(condition, x, y), s.isExact(x, y));
};

const cast: Rule = (s) => {
  const x = s.pick();
  if (!x) return;
  const to = s.choose(["f32", "f64", ...integers, "bool"] as const);
  // What has been rounded to f32 agrees to f32's accuracy only, in whatever dtype it goes on.
  if (isFloat(x.dtype) && !s.isExact(x) && (!isFloat(to) || (x.dtype === "f32" && to === "f64"))) return;
  if (isFloat(to) && !isFloat(x.dtype)) s.add(e.mul(e.cast(x, to), l.constant(2 ** -8, x.shape, to)), false);
  else s.add(e.cast(x, to), s.isExact(x));
};

const reshape: Rule = (s) => {
  const x = s.pick(isFull);
  if (!x) return;
  const factors: number[] = [];
  let rest = sizeOf(x.shape);
  for (let f = 2; rest > 1; f++)
    while (rest % f === 0) {
      factors.push(f);
      rest /= f;
    }
  const shape = [1];
  for (const f of factors) {
    if (shape.length < 5 && s.integer(2)) shape.push(f);
    else shape[s.integer(shape.length)] *= f;
  }
  s.add(b.reshape(x, shape), s.isExact(x));
};

const move: Rule = (s) => {
  const x = s.pick(hasAxis);
  if (!x) return;
  const kind = s.integer(6);
  const axis = s.axis(x);
  const d = x.shape[axis];
  let out: Node;
  if (kind === 0) {
    const keys = x.shape.map(() => s.integer(1000));
    out = m.permute(
      x,
      keys.map((_, i) => i).sort((p, q) => keys[p] - keys[q] || p - q),
    );
  } else if (kind === 1) out = m.flip(x, s.axes(x));
  else if (kind === 2) {
    const steps = x.shape.map(() => 1 + s.integer(3));
    const starts = x.shape.map((n) => s.integer(Math.max(1, Math.min(3, n))));
    out = m.slice(x, {
      starts,
      steps,
      sizes: x.shape.map((n, i) => Math.max(0, Math.ceil((n - starts[i]) / steps[i]))),
    });
  } else if (kind === 3) {
    const amount = () => x.shape.map(() => s.choose([0, 0, 1, 2]));
    out = m.pad(x, { lo: amount(), hi: amount(), interior: amount(), value: s.choose([0, 0, 1]) });
  } else if (kind === 4) {
    const size = 1 + s.integer(3);
    const [stride, dilation] = [1 + s.integer(3), 1 + s.integer(2)];
    if ((size - 1) * dilation + 1 > d) return;
    out = m.unfold(x, { axis, size, stride, dilation });
  } else {
    const y = s.partner(x);
    out = m.concat(s.integer(2) ? [x, y] : [y, x, y], axis);
    s.add(out, s.isExact(x, y));
    return;
  }
  s.add(out, s.isExact(x));
};

const fold: Rule = (s) => {
  const x = s.pick((n) => n.shape.length >= 2 && isNumber(n) && isFull(n));
  if (!x) return;
  const axis = s.integer(x.shape.length - 1);
  const [stride, dilation] = [1 + s.integer(3), 1 + s.integer(2)];
  const length = (x.shape[axis] - 1) * stride + (x.shape[axis + 1] - 1) * dilation + 1 + s.integer(3);
  s.add(m.fold(x, { axis, length, stride, dilation }), !isFloat(x.dtype));
};

const reduce: Rule = (s) => {
  const x = s.pick((n) => isFull(n) && isNumber(n));
  if (!x) return;
  const axes = s.axes(x);
  const kind = s.integer(6);
  const count = axes.reduce((n, a) => n * x.shape[a], 1);
  if (kind < 3) {
    const total = b.sum(x, axes);
    s.add(isFloat(x.dtype) ? e.mul(total, l.constantLike(total, 1 / Math.sqrt(count))) : total, !isFloat(x.dtype));
  } else if (kind === 3) s.add(s.choose([r.max, r.min])(x, axes), s.isExact(x));
  else if (kind === 4 && s.isExact(x)) s.add(s.choose([r.argmax, r.argmin])(x, axes), true);
  else if (kind === 5 && count <= 40) s.add(r.prod(isFloat(x.dtype) ? e.tanh(x) : x, axes), !isFloat(x.dtype));
};

/** A reduction put back on its input, as normalization and softmax do. */
const normalize: Rule = (s) => {
  const x = s.pick((n) => isFull(n) && isFloatNode(n) && hasAxis(n));
  if (!x) return;
  const axes = [s.axis(x)];
  if (s.integer(2)) {
    const centered = e.sub(x, b.insertAxes(r.max(x, axes), axes, x.shape));
    const power = e.exp(centered);
    s.add(e.div(power, b.insertAxes(b.sum(power, axes), axes, x.shape)), false);
  } else {
    const n = l.constant(1 / axes.reduce((n, a) => n * x.shape[a], 1), [], x.dtype);
    const over = (t: Node) =>
      b.insertAxes(
        b.sum(
          e.mul(
            t,
            b.insertAxes(
              n,
              x.shape.map((_, i) => i),
              x.shape,
            ),
          ),
          axes,
        ),
        axes,
        x.shape,
      );
    const centered = e.sub(x, over(x));
    s.add(e.div(centered, e.sqrt(e.add(over(e.mul(centered, centered)), l.constantLike(x, 0.1)))), false);
  }
};

const cumulate: Rule = (s) => {
  const x = s.pick((n) => hasAxis(n) && isNumber(n));
  if (!x) return;
  const out = r.cumsum(x, { axis: s.axis(x), reverse: s.integer(2) === 1, exclusive: s.integer(2) === 1 });
  s.add(isFloat(x.dtype) ? e.mul(out, l.constantLike(out, 0.25)) : out, !isFloat(x.dtype));
};

const sort: Rule = (s) => {
  const x = s.pick((n) => hasAxis(n) && s.isExact(n));
  if (!x) return;
  const axis = s.axis(x);
  s.add(ix.argsort(x, { axis, descending: s.integer(2) === 1, limit: s.integer(x.shape[axis] + 1) }), true);
};

const gather: Rule = (s) => {
  const x = s.pick((n) => hasAxis(n) && isFull(n));
  if (!x) return;
  const axis = s.axis(x);
  const shape = x.shape.map((d, i) => (i === axis ? s.choose(sizes) : d));
  if (sizeOf(shape) > mostElements) return;
  s.add(ix.gather(x, s.index(shape, x.shape[axis]), axis), s.isExact(x));
};

const scatter: Rule = (s) => {
  const x = s.pick((n) => hasAxis(n) && isFull(n) && isNumber(n));
  if (!x) return;
  const [axis, length] = [s.axis(x), 1 + s.integer(9)];
  s.add(ix.scatterAdd(s.index(x.shape, length), x, { axis, length }), !isFloat(x.dtype));
};

const dot: Rule = (s) => {
  const x = s.pick((n) => isFloatNode(n) && n.shape.length >= 2 && isFull(n));
  if (!x) return;
  const [k, n] = [x.shape[x.shape.length - 1], s.choose(sizes)];
  const batch = x.shape.slice(0, -2);
  if (sizeOf(batch) * k * n > mostElements) return;
  // The other factor as a permuted, and maybe broadcast, view.
  const narrow = batch.map((d) => (s.integer(3) ? d : 1));
  const swapped = [...batch.map((_, i) => i), batch.length + 1, batch.length];
  const y = s.integer(2)
    ? b.broadcast(m.permute(s.fresh([...narrow, n, k], x.dtype), swapped), [...batch, k, n])
    : b.broadcast(s.fresh([...narrow, k, n], x.dtype), [...batch, k, n]);
  const out = c.dot(x, y);
  s.add(e.mul(out, l.constantLike(out, 1 / Math.sqrt(Math.max(1, k)))), false);
};

const conv: Rule = (s) => {
  const x = s.pick((n) => isFloatNode(n) && n.shape.length >= 3 && n.shape.length <= 5 && isFull(n));
  if (!x) return;
  const [, channels, ...spatial] = x.shape;
  const groups = s.choose([1, 1, channels]);
  const kernel = spatial.map(() => 1 + s.integer(3));
  const padding = spatial.map((): [number, number] => [s.integer(3), s.integer(3)]);
  const stride = spatial.map(() => 1 + s.integer(2));
  const dilation = spatial.map(() => 1 + s.integer(2));
  const out = spatial.map((d, i) => c.convExtent(d, kernel[i], stride[i], padding[i], dilation[i]));
  if (out.some((d) => d < 1)) return;
  const w = s.fresh([groups * (1 + s.integer(4)), channels / groups, ...kernel], x.dtype);
  const y = c.conv(x, w, { stride, padding, dilation, groups });
  s.add(e.mul(y, l.constantLike(y, 1 / Math.sqrt(sizeOf(w.shape.slice(1))))), false);
};

const rules: readonly Rule[] = [
  ...[unary, unary, binary, binary, binary, compare, select, cast],
  ...[reshape, move, move, move, fold, reduce, reduce, normalize],
  ...[cumulate, sort, gather, scatter, dot, conv],
];
