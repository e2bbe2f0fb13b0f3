import type { Buffer, OpInstruction } from "../../../compiler/instruction.ts";
import { wgslType } from "../wgsl/scalar.ts";
import { type Dispatch, param } from "../wgsl/shader.ts";
import { forEach } from "./copy.ts";

/**
 * Sorting is Batcher's bitonic network (1968) over pairs of a key and a position. The key orders as the values do, with
 * NaN last; the position decides between equal keys, which makes the order stable and the same on every device. The
 * pairs of one lane lie as `size` keys, then `size` positions, where `size` is a power of two.
 */

/** Pairs that one workgroup sorts in its own memory, and its threads. */
const [block, threads] = [1024, 256];

const keys: Record<string, string> = {
  f32: `fn key_of(v: f32) -> u32 {
  if (is_missing(v)) { return 0xffffffffu; }
  let bits = bitcast<u32>(v);
  if ((bits << 1u) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) != 0u);
}`,
  i32: "fn key_of(v: i32) -> u32 { return bitcast<u32>(v) ^ 0x80000000u; }",
  u32: "fn key_of(v: u32) -> u32 { return v; }",
};

export const paddedSize = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, n)));

/** The pairs of `lanes` lanes of `n`. */
export const pairs = (lanes: number, n: number): Buffer => ({
  size: 2 * lanes * paddedSize(n),
  dtype: "u32",
  place: { kind: "temp" },
});

/** The instructions that sort pairs which have been written. */
export function sortPairs(scratch: Buffer, lanes: number, n: number): OpInstruction[] {
  const size = paddedSize(n);
  const op = (name: string, ...params: number[]): OpInstruction => {
    return { kind: "op", name, buffers: [scratch], offsets: [0], params: [lanes, size, ...params] };
  };
  const list = [op("sort_block", 2, Math.min(size, block))];
  for (let run = 2 * block; run <= size; run *= 2) {
    for (let step = run / 2; step >= block; step /= 2) list.push(op("sort_pass", run, step));
    list.push(op("sort_block", run, run));
  }
  return list;
}

/** argsort: keys of the values, their order, the first positions of it. */
export function expandArgsort(op: OpInstruction): OpInstruction[] {
  const [x, target] = op.buffers;
  const [outer, n, inner, limit, descending] = op.params;
  const lanes = outer * inner;
  if (lanes * n === 0 || limit === 0) return [];
  const scratch = pairs(lanes, n);
  const size = paddedSize(n);
  return [
    {
      ...op,
      name: "sort_keys",
      buffers: [x, scratch],
      params: [lanes, size, n, inner, n * inner, inner, 1, descending],
    },
    ...sortPairs(scratch, lanes, n),
    { ...op, name: "sort_take", buffers: [scratch, target], params: [limit * lanes, size, inner, limit] },
  ];
}

/** Where pair `s` of lane `lane` has its key; its position lies `size` further. */
const pairAt = (size: string) => `fn pair(lane: i32, s: i32) -> i32 { return 2 * lane * ${size} + s; }`;

/** Keys of values at strides; those of an index count from the end if negative, and are the last outside of its range. */
export function sortKeysDispatch({ buffers: [x, scratch], offsets: [offset], params }: OpInstruction): Dispatch {
  const [lanes, size, n, inner, strideOuter, strideTerm, strideInner, mode] = [0, 1, 2, 3, 4, 5, 6, 7].map(param);
  const text = `    let lane_of = q / ${size};
    let s = q % ${size};
    var key = 0xffffffffu;
    if (s < ${n}) {
      key = key_of(load0((lane_of / ${inner}) * ${strideOuter} + s * ${strideTerm} + (lane_of % ${inner}) * ${strideInner}));
      if (${mode} == 1) { key = ~key; }
    }
    store1(pair(lane_of, s), key);
    store1(pair(lane_of, s) + ${size}, u32(s));`;
  const index = `fn key_of(v: i32) -> u32 {
  let row = select(v, v + ${param(8)}, v < 0);
  return select(0xfffffffeu, u32(row), row >= 0 && row < ${param(8)});
}`;
  const key = params.length > 8 ? index : keys[wgslType(x.dtype)];
  return {
    label: "keys to sort by",
    operands: [
      { buffer: x, offset, written: false },
      { buffer: scratch, offset: 0, written: true },
    ],
    params,
    ...forEach(params[0] * params[1], text, `${key}\n${pairAt(size)}`, `${lanes} * ${size}`),
  };
}

/** Whether the first of two pairs belongs behind the second. */
const behind = `fn behind(k: u32, p: u32, l: u32, o: u32) -> bool { return k > l || (k == l && p > o); }`;

/** One pass over pairs that lie `step` apart, within runs of length `run`. */
export function sortPassDispatch({ buffers: [scratch], params }: OpInstruction): Dispatch {
  const [lanes, size, run, step] = [0, 1, 2, 3].map(param);
  const half = `(${size} / 2)`;
  const text = `    let lane_of = q / ${half};
    let t = q % ${half};
    let s = (t / ${step}) * 2 * ${step} + t % ${step};
    let a = pair(lane_of, s);
    let b = a + ${step};
    let k = load0(a);
    let l = load0(b);
    let p = load0(a + ${size});
    let o = load0(b + ${size});
    if (behind(k, p, l, o) == ((s & ${run}) == 0)) {
      store0(a, l);
      store0(b, k);
      store0(a + ${size}, o);
      store0(b + ${size}, p);
    }`;
  return {
    label: "a pass of a sort",
    operands: [{ buffer: scratch, offset: 0, written: true }],
    params,
    ...forEach((params[0] * params[1]) / 2, text, `${behind}\n${pairAt(size)}`, `${lanes} * ${half}`),
  };
}

/** All passes within blocks of pairs, for runs of length `from` to `to`, in the memory of a workgroup. */
export function sortBlockDispatch({ buffers: [scratch], params }: OpInstruction): Dispatch {
  const [size, from, to] = [1, 2, 3].map(param);
  const length = Math.min(params[1], block);
  const body = `  let blocks = ${size} / ${length};
  let lane_of = group / blocks;
  let first = (group % blocks) * ${length};
  let at = pair(lane_of, first);
  for (var e = lane; e < ${length}; e += ${threads}) {
    block_keys[e] = load0(at + e);
    block_places[e] = load0(at + e + ${size});
  }
  workgroupBarrier();
  for (var run = ${from}; run <= ${to}; run *= 2) {
    for (var step = min(run / 2, ${length / 2}); step >= 1; step /= 2) {
      for (var t = lane; t < ${length / 2}; t += ${threads}) {
        let a = (t / step) * 2 * step + t % step;
        let b = a + step;
        let k = block_keys[a];
        let l = block_keys[b];
        let p = block_places[a];
        let o = block_places[b];
        if (behind(k, p, l, o) == (((first + a) & run) == 0)) {
          block_keys[a] = l;
          block_keys[b] = k;
          block_places[a] = o;
          block_places[b] = p;
        }
      }
      workgroupBarrier();
    }
  }
  for (var e = lane; e < ${length}; e += ${threads}) {
    store0(at + e, block_keys[e]);
    store0(at + e + ${size}, block_places[e]);
  }`;
  const before = `var<workgroup> block_keys: array<u32, ${length}>;
var<workgroup> block_places: array<u32, ${length}>;
${behind}
${pairAt(size)}`;
  return {
    label: "a sort of blocks",
    operands: [{ buffer: scratch, offset: 0, written: true }],
    params,
    code: { before, body, threads },
    groups: (params[0] * params[1]) / length,
  };
}

/** The first positions of each lane's order. */
export function sortTakeDispatch({ buffers: [scratch, target], params }: OpInstruction): Dispatch {
  const [count, size, inner, limit] = [0, 1, 2, 3].map(param);
  const text = `    let i = q % ${inner};
    let s = (q / ${inner}) % ${limit};
    let o = q / ${inner} / ${limit};
    store1(q, i32(load0(pair(o * ${inner} + i, s) + ${size})));`;
  return {
    label: "positions in order",
    operands: [
      { buffer: scratch, offset: 0, written: false },
      { buffer: target, offset: 0, written: true },
    ],
    params,
    ...forEach(params[0], text, pairAt(size), count),
  };
}
