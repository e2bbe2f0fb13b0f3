import type { OpInstruction } from "../../../compiler/instruction.ts";
import { type Operand, param } from "../wgsl/shader.ts";
import { type Contraction, firstParam } from "./contraction.ts";

const operandsOf = ({ buffers, offsets }: OpInstruction): Operand[] =>
  buffers.slice(0, -1).map((buffer, i) => ({ buffer, offset: offsets[i], written: false }));

/** Names and numbers of parameters that a contraction's functions read. */
class Params {
  readonly values: number[] = [];
  /** How the parameter with this value is read. */
  of(value: number): string {
    return param(firstParam + this.values.push(value) - 1);
  }
}

/** A matrix product: m, n, k, strides of left and right, then for each axis of the batch its size and strides. */
export function matrixProduct(op: OpInstruction): Contraction {
  const [m, n, k, leftRow, leftTerm, rightTerm, rightColumn, rank, ...axes] = op.params;
  const params = new Params();
  const target = op.buffers[2];
  const batch = Array.from({ length: rank }, (_, a) => axes.slice(3 * a, 3 * a + 3));
  /** Where the batch's matrices begin: z is taken apart from the last axis on. */
  const start = (side: 1 | 2): string => {
    let rest = "z";
    const terms = [...batch].reverse().map((axis, i) => {
      const size = params.of(axis[0]);
      const at = i === rank - 1 ? rest : `(${rest} % ${size})`;
      rest = `(${rest} / ${size})`;
      return ` + ${at} * ${params.of(axis[side])}`;
    });
    return terms.join("");
  };
  const by = (name: string, stride: number) => (stride === 1 ? name : `${name} * ${params.of(stride)}`);
  const functions = `fn left(z: i32, i: i32, p: i32) -> f32 { return load0(${by("i", leftRow)} + ${by("p", leftTerm)}${start(1)}); }
fn right(z: i32, p: i32, j: i32) -> f32 { return load1(${by("p", rightTerm)} + ${by("j", rightColumn)}${start(2)}); }
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * ${param(0)} + i) * ${param(1)} + j; }`;
  return {
    label: `a product ${m} x ${k} x ${n}`,
    batches: batch.reduce((count, [size]) => count * size, 1),
    m,
    n,
    k,
    operands: operandsOf(op),
    target,
    functions,
    params: params.values,
    leftAlongTerms: leftTerm === 1,
    rightAlongTerms: rightTerm === 1 && rightColumn !== 1,
  };
}

/** The sizes of a convolution (compiler/operation.ts). */
interface Geometry {
  readonly images: number;
  readonly channels: number;
  readonly filters: number;
  readonly groups: number;
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly stride: readonly number[];
  readonly low: readonly number[];
  readonly dilation: readonly number[];
}

function geometryOf({ params }: OpInstruction): Geometry {
  const [images, channels, filters, groups] = params;
  const [input, kernel, output, stride, low, dilation] = [4, 7, 10, 13, 16, 19].map((at) => params.slice(at, at + 3));
  return { images, channels, filters, groups, input, kernel, output, stride, low, dilation };
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const axes = ["z", "y", "x"];

/** A convolution, its input gradient or its weight gradient, as the product of windows that are read where they lie. */
export function convolution(op: OpInstruction, kind: "forward" | "input" | "weight"): Contraction {
  const g = geometryOf(op);
  const params = new Params();
  const target = op.buffers[2];
  const perGroup = { channels: g.channels / g.groups, filters: g.filters / g.groups };
  const taps = product(g.kernel);
  const [inputs, outputs] = [product(g.input), product(g.output)];
  const [channels, filters] = [params.of(g.channels), params.of(g.filters)];
  const [groupChannels, groupFilters] = [params.of(perGroup.channels), params.of(perGroup.filters)];
  const [inputPixels, outputPixels] = [params.of(inputs), params.of(outputs)];
  const [inputSize, outputSize] = [g.input, g.output].map((sizes) => sizes.map((size) => params.of(size)));

  /** Takes a position apart: `name` over these sizes into `prefix`z, y and x. */
  const apart = (name: string, prefix: string, sizes: readonly (string | number)[]) =>
    `let ${prefix}x = ${name} % ${sizes[2]};
  let ${prefix}y = (${name} / ${sizes[2]}) % ${sizes[1]};
  let ${prefix}z = ${name} / ${sizes[2]} / ${sizes[1]};`;
  const within = (prefix: string, sizes: readonly string[]) =>
    axes.map((a, i) => `${prefix}${a} < 0 || ${prefix}${a} >= ${sizes[i]}`).join(" || ");
  const flat = (prefix: string, sizes: readonly string[]) =>
    `(${prefix}z * ${sizes[1]} + ${prefix}y) * ${sizes[2]} + ${prefix}x`;
  /** What the window at an output pixel has under a tap of the kernel, 0 in the padding. */
  const window = `fn window(image: i32, channel: i32, pixel: i32, tap: i32) -> f32 {
  ${apart("pixel", "o", outputSize)}
  ${apart("tap", "k", g.kernel)}
  ${axes.map((a, i) => `let i${a} = o${a} * ${g.stride[i]} + k${a} * ${g.dilation[i]} - ${g.low[i]};`).join("\n  ")}
  if (${within("i", inputSize)}) { return 0f; }
  return load0((image * ${channels} + channel) * ${inputPixels} + ${flat("i", inputSize)});
}`;
  const shared = { batches: g.groups, operands: operandsOf(op), target };
  const sizes = `${g.images} x ${g.channels} x ${g.input.join(" x ")}`;

  switch (kind) {
    case "forward":
      return {
        ...shared,
        label: `a convolution of ${sizes}`,
        m: perGroup.filters,
        n: g.images * outputs,
        k: perGroup.channels * taps,
        functions: `${window}
fn left(z: i32, i: i32, p: i32) -> f32 { return load1((z * ${groupFilters} + i) * ${groupChannels} * ${taps} + p); }
fn right(z: i32, p: i32, j: i32) -> f32 {
  return window(j / ${outputPixels}, z * ${groupChannels} + p / ${taps}, j % ${outputPixels}, p % ${taps});
}
fn place(z: i32, i: i32, j: i32) -> i32 {
  return ((j / ${outputPixels}) * ${filters} + z * ${groupFilters} + i) * ${outputPixels} + j % ${outputPixels};
}`,
        params: params.values,
        leftAlongTerms: true,
        rightAlongTerms: false,
      };
    case "input":
      return {
        ...shared,
        label: `the input gradient of a convolution of ${sizes}`,
        m: perGroup.channels,
        n: g.images * inputs,
        k: perGroup.filters * taps,
        functions: `fn left(z: i32, i: i32, p: i32) -> f32 {
  return load1(((z * ${groupFilters} + p / ${taps}) * ${groupChannels} + i) * ${taps} + p % ${taps});
}
fn right(z: i32, p: i32, j: i32) -> f32 {
  let pixel = j % ${inputPixels};
  let tap = p % ${taps};
  ${apart("pixel", "i", inputSize)}
  ${apart("tap", "k", g.kernel)}
  ${axes.map((a, i) => `let s${a} = i${a} + ${g.low[i]} - k${a} * ${g.dilation[i]};`).join("\n  ")}
  ${axes.map((a, i) => `let o${a} = s${a} / ${g.stride[i]};`).join("\n  ")}
  if (${axes.map((a, i) => `s${a} < 0 || o${a} * ${g.stride[i]} != s${a} || o${a} >= ${outputSize[i]}`).join(" || ")}) { return 0f; }
  return load0(((j / ${inputPixels}) * ${filters} + z * ${groupFilters} + p / ${taps}) * ${outputPixels} + ${flat("o", outputSize)});
}
fn place(z: i32, i: i32, j: i32) -> i32 {
  return ((j / ${inputPixels}) * ${channels} + z * ${groupChannels} + i) * ${inputPixels} + j % ${inputPixels};
}`,
        params: params.values,
        leftAlongTerms: taps > 1,
        rightAlongTerms: false,
      };
    case "weight":
      return {
        ...shared,
        label: `the weight gradient of a convolution of ${sizes}`,
        m: perGroup.filters,
        n: perGroup.channels * taps,
        k: g.images * outputs,
        functions: `${window}
fn left(z: i32, i: i32, p: i32) -> f32 {
  return load1(((p / ${outputPixels}) * ${filters} + z * ${groupFilters} + i) * ${outputPixels} + p % ${outputPixels});
}
fn right(z: i32, p: i32, j: i32) -> f32 {
  return window(p / ${outputPixels}, z * ${groupChannels} + j / ${taps}, p % ${outputPixels}, j % ${taps});
}
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * ${groupFilters} + i) * ${param(1)} + j; }`,
        params: params.values,
        leftAlongTerms: true,
        rightAlongTerms: true,
      };
  }
}
