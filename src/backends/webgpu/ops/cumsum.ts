import type { OpInstruction } from "../../../compiler/instruction.ts";
import { wgslType } from "../wgsl/scalar.ts";
import { type Dispatch, param } from "../wgsl/shader.ts";
import { forEach } from "./copy.ts";

const threads = 256;
const [lanes, n, inner, reverse, exclusive] = [0, 1, 2, 3, 4].map(param);

/** Sums along an axis: a thread for each lane where there are many lanes or they are short, else a workgroup. */
export function cumsumDispatch({ buffers: [x, target], params }: OpInstruction): Dispatch {
  const [outer, length, within] = params;
  const count = outer * within;
  const type = wgslType(target.dtype);
  const stored = (value: string) => (target.dtype === "u8" ? `${value} & 0xffu` : value);
  const before = `fn element(lane: i32, t: i32) -> i32 {
  let at = select(t, ${n} - 1 - t, ${reverse} != 0);
  return ((lane / ${inner}) * ${n} + at) * ${inner} + lane % ${inner};
}`;
  const serial = `    var sum = ${type}();
    for (var t = 0; t < ${n}; t++) {
      let at = element(q, t);
      let next = sum + load0(at);
      store1(at, ${stored(`select(next, sum, ${exclusive} != 0)`)});
      sum = next;
    }`;
  const shared = {
    label: `a cumulative sum of ${count} x ${length}`,
    operands: [
      { buffer: x, offset: 0, written: false },
      { buffer: target, offset: 0, written: true },
    ],
    params: [count, ...params.slice(1)],
  };
  if (count >= 4096 || length <= 32) return { ...shared, ...forEach(count, serial, before, lanes) };
  const steps: string[] = [];
  // Hillis and Steele: after step s each cell holds the sum of the 2s cells up to it.
  for (let step = 1; step < threads; step *= 2)
    steps.push(`    v = sums[lane];
    if (lane >= ${step}) { v += sums[lane - ${step}]; }
    workgroupBarrier();
    sums[lane] = v;
    workgroupBarrier();`);
  const body = `  var carried = ${type}();
  for (var t0 = 0; t0 < ${n}; t0 += ${threads}) {
    let t = t0 + lane;
    let at = element(group, t);
    var own = ${type}();
    if (t < ${n}) { own = load0(at); }
    sums[lane] = own;
    workgroupBarrier();
    var v = own;
${steps.join("\n")}
    let before = select(${type}(), sums[max(lane - 1, 0)], lane > 0);
    if (t < ${n}) { store1(at, ${stored(`(carried + select(sums[lane], before, ${exclusive} != 0))`)}); }
    carried += sums[${threads - 1}];
    workgroupBarrier();
  }`;
  return {
    ...shared,
    code: { before: `var<workgroup> sums: array<${type}, ${threads}>;\n${before}`, body, threads },
    groups: count,
  };
}
