import type { OpInstruction } from "../../../compiler/instruction.ts";
import { type Operand, param } from "../wgsl/shader.ts";
import { firstParam, type Product } from "./contraction.ts";

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
export function matrixProduct(op: OpInstruction): Product {
  const [m, n, k, leftRow, leftTerm, rightTerm, rightColumn, rank, ...axes] = op.params;
  const params = new Params();
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
  const functions = `fn left_row(z: i32, i: i32) -> i32 { return ${by("i", leftRow)}${start(1)}; }
fn left_term(z: i32, p: i32) -> i32 { return ${by("p", leftTerm)}; }
fn left(row: i32, term: i32) -> f32 { return load0(row + term); }
fn right_column(z: i32, j: i32) -> i32 { return ${by("j", rightColumn)}${start(2)}; }
fn right_term(z: i32, p: i32) -> i32 { return ${by("p", rightTerm)}; }
fn right(column: i32, term: i32) -> f32 { return load1(column + term); }
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * ${param(0)} + i) * ${param(1)} + j; }`;
  return {
    label: `a product ${m} x ${k} x ${n}`,
    batches: batch.reduce((count, [size]) => count * size, 1),
    m,
    n,
    k,
    operands: operandsOf(op),
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
export function convolution(op: OpInstruction, kind: "forward" | "input" | "weight"): Product {
  const g = geometryOf(op);
  const params = new Params();
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
    axes.map((a, i) => `(${prefix}${a} >= 0) & (${prefix}${a} < ${sizes[i]})`).join(" & ");
  const flat = (prefix: string, sizes: readonly string[]) =>
    `(${prefix}z * ${sizes[1]} + ${prefix}y) * ${sizes[2]} + ${prefix}x`;
  const point = (text: (axis: string, i: number) => string) => axes.map(text).join(", ");
  /**
   * Windows of the input: where the channel, the image and the window at an output pixel begin, and where a tap of the
   * kernel lies in it; both as a position in memory, then along three axes. In the padding there is 0.
   */
  const window = `fn window_start(start: i32, pixel: i32) -> vec4<i32> {
  ${apart("pixel", "o", outputSize)}
  return vec4<i32>(start, ${point((a, i) => `o${a} * ${g.stride[i]} - ${g.low[i]}`)});
}
fn window_tap(start: i32, tap: i32) -> vec4<i32> {
  ${apart("tap", "k", g.kernel)}
  return vec4<i32>(start, ${point((a, i) => `k${a} * ${g.dilation[i]}`)});
}
fn right(a: vec4<i32>, b: vec4<i32>) -> f32 {
  let at = a + b;
  ${axes.map((a, i) => `let i${a} = at.${"yzw"[i]};`).join(" ")}
  let inside = ${within("i", inputSize)};
  return select(0f, load0(select(0, at.x + ${flat("i", inputSize)}, inside)), inside);
}`;
  const shared = { batches: g.groups, operands: operandsOf(op) };
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
fn left_row(z: i32, i: i32) -> i32 { return (z * ${groupFilters} + i) * ${groupChannels} * ${taps}; }
fn left_term(z: i32, p: i32) -> i32 { return p; }
fn left(row: i32, term: i32) -> f32 { return load1(row + term); }
fn right_column(z: i32, j: i32) -> vec4<i32> {
  return window_start((j / ${outputPixels}) * ${channels} * ${inputPixels}, j % ${outputPixels});
}
fn right_term(z: i32, p: i32) -> vec4<i32> {
  return window_tap((z * ${groupChannels} + p / ${taps}) * ${inputPixels}, p % ${taps});
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
        functions: `fn left_row(z: i32, i: i32) -> i32 { return i * ${taps}; }
fn left_term(z: i32, p: i32) -> i32 {
  return (z * ${groupFilters} + p / ${taps}) * ${groupChannels} * ${taps} + p % ${taps};
}
fn left(row: i32, term: i32) -> f32 { return load1(row + term); }
fn right_column(z: i32, j: i32) -> vec4<i32> {
  let pixel = j % ${inputPixels};
  ${apart("pixel", "i", inputSize)}
  let start = (j / ${inputPixels}) * ${filters} * ${outputPixels};
  return vec4<i32>(start, ${point((a, i) => `i${a} + ${g.low[i]}`)});
}
fn right_term(z: i32, p: i32) -> vec4<i32> {
  let tap = p % ${taps};
  ${apart("tap", "k", g.kernel)}
  let start = (z * ${groupFilters} + p / ${taps}) * ${outputPixels};
  return vec4<i32>(start, ${point((a, i) => `-k${a} * ${g.dilation[i]}`)});
}
fn right(a: vec4<i32>, b: vec4<i32>) -> f32 {
  let at = a + b;
  ${axes.map((a, i) => `let o${a} = at.${"yzw"[i]} / ${g.stride[i]};`).join(" ")}
  let inside = ${axes.map((a, i) => `(at.${"yzw"[i]} >= 0) & (o${a} * ${g.stride[i]} == at.${"yzw"[i]}) & (o${a} < ${outputSize[i]})`).join(" & ")};
  return select(0f, load0(select(0, at.x + ${flat("o", outputSize)}, inside)), inside);
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
fn left_row(z: i32, i: i32) -> i32 { return (z * ${groupFilters} + i) * ${outputPixels}; }
fn left_term(z: i32, p: i32) -> i32 {
  return (p / ${outputPixels}) * ${filters} * ${outputPixels} + p % ${outputPixels};
}
fn left(row: i32, term: i32) -> f32 { return load1(row + term); }
fn right_column(z: i32, j: i32) -> vec4<i32> {
  return window_tap((z * ${groupChannels} + j / ${taps}) * ${inputPixels}, j % ${taps});
}
fn right_term(z: i32, p: i32) -> vec4<i32> {
  return window_start((p / ${outputPixels}) * ${channels} * ${inputPixels}, p % ${outputPixels});
}
fn place(z: i32, i: i32, j: i32) -> i32 { return (z * ${groupFilters} + i) * ${param(1)} + j; }`,
        params: params.values,
        leftAlongTerms: true,
        rightAlongTerms: true,
      };
  }
}
