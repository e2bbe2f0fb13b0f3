import { ShapeError, showShape } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { makeNode, type Node, type Primitive, type Spec, type VjpContext } from "../graph/node.ts";

type None = Record<string, never>;

/** Identity through which no gradient flows. */
export const stopGradientPrim: Primitive<None> = {
  name: "stopGradient",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: () => [null],
};
export const stopGradient = (x: Node): Node => makeNode(stopGradientPrim, [x], {});

export interface CustomVjpAttrs {
  /** One cotangent per input after the first. */
  readonly rule: (context: VjpContext<object>) => readonly (Node | null)[];
}
/**
 * The first input, which is a function of the others, with a gradient by `rule` in place of what its graph gives.
 * Backends see a `stopGradient`.
 */
export const customVjpPrim: Primitive<CustomVjpAttrs> = {
  name: stopGradientPrim.name,
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ ct, out, inputs: [, ...inputs], attrs }) => [null, ...attrs.rule({ ct, out, inputs, attrs })],
};
export const customVjp = (value: Node, inputs: readonly Node[], attrs: CustomVjpAttrs): Node =>
  makeNode(customVjpPrim, [value, ...inputs], attrs);

/** Identity on the first input that is not evaluated before the others, and that no rewrite looks through. */
export const barrierPrim: Primitive<None> = {
  name: "barrier",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ ct, inputs }) => inputs.map((_, i) => (i === 0 ? ct : null)),
};
export const barrier = (x: Node, after: readonly Node[]): Node => makeNode(barrierPrim, [x, ...after], {});

export interface ScanBody {
  /** Carries, then slices of the sequences, then constants. */
  readonly inputs: readonly Node[];
  /** New carries, then what is stacked. */
  readonly outputs: readonly Node[];
}
export interface ScanAttrs {
  readonly body: ScanBody;
  readonly length: number;
  readonly carries: number;
  readonly sequences: number;
  /** From the last slice to the first. */
  readonly reverse: boolean;
}
/**
 * A loop over the leading axis. Inputs: initial carries, sequences [length, ..], constants.
 * Outputs, read by `pick`: final carries, stacked outputs [length, ..], then the carries that each step received
 * [length, ..], which the gradient reads.
 */
export const scanPrim: Primitive<ScanAttrs> = {
  name: "scan",
  infer(inputs, { body, length, carries, sequences }) {
    if (inputs.length !== body.inputs.length || inputs.length < carries + sequences || body.outputs.length < carries)
      throw new ShapeError(
        `scan: ${inputs.length} inputs and a body of ${body.inputs.length} inputs and ${body.outputs.length} outputs; ` +
          `with ${carries} carries and ${sequences} sequences the body takes every input and returns every carry`,
      );
    inputs.forEach((x, i) => {
      const want = body.inputs[i];
      const shape = i >= carries && i < carries + sequences ? [length, ...want.shape] : want.shape;
      if (x.dtype !== want.dtype || showShape(x.shape) !== showShape(shape))
        throw new ShapeError(
          `scan: input ${i} is ${x.dtype}${showShape(x.shape)}, the body takes ${want.dtype}${showShape(shape)}`,
        );
    });
    body.outputs.slice(0, carries).forEach((out, i) => {
      const want = body.inputs[i];
      if (out.dtype !== want.dtype || showShape(out.shape) !== showShape(want.shape))
        throw new ShapeError(
          `scan: carry ${i} enters a step as ${want.dtype}${showShape(want.shape)} and leaves it as ${out.dtype}${showShape(out.shape)}; they must be equal`,
        );
    });
    return { shape: [], dtype: "f32" };
  },
};
export const scan = (inputs: readonly Node[], attrs: ScanAttrs): Node => makeNode(scanPrim, inputs, attrs);

/** Shapes and dtypes of what a scan yields, in the order of `pick`. */
export function scanOutputs({ body, length, carries }: ScanAttrs): Spec[] {
  const stacked = ({ shape, dtype }: Spec): Spec => ({ shape: [length, ...shape], dtype });
  return [
    ...body.outputs.slice(0, carries),
    ...body.outputs.slice(carries).map(stacked),
    ...body.inputs.slice(0, carries).map(stacked),
  ];
}

export interface PickAttrs {
  readonly index: number;
}
export const pickPrim: Primitive<PickAttrs> = {
  name: "pick",
  infer: ([x], { index }) => scanOutputs(x.attrs as ScanAttrs)[index],
};
export const pick = (x: Node, index: number): Node => makeNode(pickPrim, [x], { index });

export interface RandomAttrs {
  readonly shape: Shape;
}
/** u32 bits: word 0 of Threefry-2x32 under key (s0, s1) of the counter (flat index, s2); the state s is u32 [3]. */
export const randomBitsPrim: Primitive<RandomAttrs> = {
  name: "randomBits",
  infer([state], { shape }) {
    if (state.dtype !== "u32" || showShape(state.shape) !== "[3]")
      throw new ShapeError(`randomBits: the state must be u32[3], got ${state.dtype}${showShape(state.shape)}`);
    return { shape, dtype: "u32" };
  },
};
export const randomBits = (state: Node, shape: Shape): Node => makeNode(randomBitsPrim, [state], { shape });
