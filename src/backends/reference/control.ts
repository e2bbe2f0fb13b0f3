import { loadValues, storedValue, type TypedArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { threefry2x32 } from "../../core/rng.ts";
import { sizeOf } from "../../core/shape.ts";
import { hostInputs } from "../../core/value.ts";
import { scanOutputs } from "../../primitives/control.ts";
import { around, empty, type Kernels } from "./kernel.ts";

export const control = {
  constant({ node, attrs: { value } }) {
    const out = empty(node);
    return value === 0 ? out : out.fill(value);
  },

  iota({ node, attrs: { axis } }) {
    const { outer, length, inner } = around(node.shape, axis);
    const out = empty(node);
    for (let o = 0; o < outer; o++)
      for (let k = 0; k < length; k++)
        out.fill(storedValue(k, node.dtype), (o * length + k) * inner, (o * length + k + 1) * inner);
    return out;
  },

  data: ({ node, attrs: { data } }) => loadValues(hostInputs("reference", [data])[0], node.dtype),

  input({ node: { dtype, shape } }) {
    throw new ManabiError(
      `reference: an input ${dtype}[${shape}] is used but not fed; list it among the inputs of the graph`,
    );
  },

  stopGradient: ({ inputs: [x] }) => x,

  barrier: ({ inputs: [x] }) => x,

  pick: ({ inputs, attrs: { index } }) => inputs[index],

  scan({ inputs, attrs, prepare }) {
    const { body, length, carries, sequences, reverse } = attrs;
    const step = prepare(body);
    const results = scanOutputs(attrs).map(empty);
    const stacked = results.slice(carries, body.outputs.length);
    const received = results.slice(body.outputs.length);
    const slices = body.inputs.slice(carries, carries + sequences).map((spec) => sizeOf(spec.shape));
    const constants = inputs.slice(carries + sequences);
    let carry = inputs.slice(0, carries);
    for (let t = 0; t < length; t++) {
      const at = reverse ? length - 1 - t : t;
      const parts = slices.map((n, i) => inputs[carries + i].subarray(at * n, (at + 1) * n));
      store(received, carry, at);
      const outputs = step([...carry, ...parts, ...constants]);
      store(stacked, outputs.slice(carries), at);
      carry = outputs.slice(0, carries);
    }
    store(results, carry, 0);
    return results;
  },

  randomBits({ node, inputs: [state] }) {
    const out = empty(node);
    const [k0, k1, c1] = state;
    for (let i = 0; i < out.length; i++) out[i] = threefry2x32(k0, k1, i, c1)[0];
    return out;
  },
} satisfies Kernels<
  "constant" | "iota" | "data" | "input" | "stopGradient" | "barrier" | "pick" | "scan" | "randomBits"
>;

/** Writes each value as element `at` of the leading axis of its stack. */
function store(stacks: readonly TypedArray[], values: readonly TypedArray[], at: number): void {
  values.forEach((value, i) => {
    stacks[i].set(value, at * value.length);
  });
}
