import type { OpInstruction } from "../../../compiler/instruction.ts";
import { wgslType } from "../wgsl/scalar.ts";
import { type Dispatch, param } from "../wgsl/shader.ts";
import { forEach } from "./copy.ts";
import { paddedSize, pairs, sortPairs } from "./sort.ts";

/**
 * scatterAdd: every element of the result gathers what falls to it, in order, so that sums are the same every time. It
 * looks at all of the index where that is short, else at its range of the sorted index.
 */
export function expandScatterAdd(op: OpInstruction): OpInstruction[] {
  const [outer, n, length, inner, strideOuter, strideTerm, strideInner] = op.params;
  const [index, update, target] = op.buffers;
  const looks = outer * length * inner * n;
  if (n <= 32 || looks <= 1 << 20) return [op];
  // An index that is the same for all of an axis is sorted once.
  const [outerLanes, innerLanes] = [strideOuter === 0 ? 1 : outer, strideInner === 0 ? 1 : inner];
  const lanes = outerLanes * innerLanes;
  const scratch = pairs(lanes, n);
  const size = paddedSize(n);
  return [
    {
      ...op,
      name: "sort_keys",
      buffers: [index, scratch],
      offsets: [op.offsets[0], 0],
      params: [lanes, size, n, innerLanes, strideOuter, strideTerm, strideInner, 0, length],
    },
    ...sortPairs(scratch, lanes, n),
    {
      ...op,
      name: "scatter_sum",
      buffers: [scratch, update, target],
      offsets: [0, 0, 0],
      params: [outer * length * inner, size, n, length, inner, Number(outerLanes > 1), innerLanes],
    },
  ];
}

const operandsOf = ({ buffers, offsets }: OpInstruction) =>
  buffers.map((buffer, i) => ({ buffer, offset: offsets[i], written: i === buffers.length - 1 }));

export function scatterAddDispatch(op: OpInstruction): Dispatch {
  const target = op.buffers[2];
  const [count, n, length, inner, strideOuter, strideTerm, strideInner] = [0, 1, 2, 3, 4, 5, 6].map(param);
  const [outer, ...rest] = op.params;
  const text = `    let i = q % ${inner};
    let row = (q / ${inner}) % ${length};
    let o = q / ${inner} / ${length};
    var sum = ${wgslType(target.dtype)}();
    for (var t = 0; t < ${n}; t++) {
      let at = load0(o * ${strideOuter} + t * ${strideTerm} + i * ${strideInner});
      if (select(at, at + ${length}, at < 0) == row) { sum += load1((o * ${n} + t) * ${inner} + i); }
    }
    store2(q, ${target.dtype === "u8" ? "sum & 0xffu" : "sum"});`;
  return {
    label: `a scatter of ${outer} x ${op.params[1]} x ${op.params[3]}`,
    operands: operandsOf(op),
    params: [target.size, ...rest],
    ...forEach(target.size, text, "", count),
  };
}

/** The sums over ranges of a sorted index. */
export function scatterSumDispatch(op: OpInstruction): Dispatch {
  const target = op.buffers[2];
  const [count, size, n, length, inner, manyOuter, innerLanes] = [0, 1, 2, 3, 4, 5, 6].map(param);
  const text = `    let i = q % ${inner};
    let row = u32((q / ${inner}) % ${length});
    let o = q / ${inner} / ${length};
    let start = 2 * ${size} * (o * ${manyOuter} * ${innerLanes} + i % ${innerLanes});
    var low = 0;
    var high = ${n};
    while (low < high) {
      let middle = (low + high) / 2;
      if (load0(start + middle) < row) { low = middle + 1; } else { high = middle; }
    }
    var sum = ${wgslType(target.dtype)}();
    for (; low < ${n} && load0(start + low) == row; low++) {
      sum += load1((o * ${n} + i32(load0(start + low + ${size}))) * ${inner} + i);
    }
    store2(q, ${target.dtype === "u8" ? "sum & 0xffu" : "sum"});`;
  return {
    label: "the sums of a scatter",
    operands: operandsOf(op),
    params: op.params,
    ...forEach(op.params[0], text, "", count),
  };
}
