import type { OpInstruction } from "../../../compiler/instruction.ts";
import { product } from "./work.ts";

/** One number per spatial axis: z, y, x. */
export type Triple = readonly [number, number, number];

/** Geometry of a convolution, forward or of a gradient: x [n, c, in..], w [o, c / groups, kernel..], y [n, o, out..]. */
export interface ConvShape {
  readonly n: number;
  readonly c: number;
  readonly o: number;
  readonly groups: number;
  readonly in: Triple;
  readonly kernel: Triple;
  readonly out: Triple;
  readonly stride: Triple;
  /** Zeros before the first element. */
  readonly pad: Triple;
  readonly dilation: Triple;
}

/** A kernel position that outputs gather from. */
export interface Tap {
  /** Its place in the kernel. */
  readonly at: number;
  readonly shift: Triple;
  /** Of the source. */
  readonly phase: number;
}

/** Outputs that see the same taps: position j is output `step` * j + `origin`, for j from `lo` up to `hi`. */
export interface ConvPart {
  readonly lo: Triple;
  readonly hi: Triple;
  readonly step: Triple;
  readonly origin: Triple;
  readonly taps: readonly Tap[];
}

/**
 * A convolution as outputs that gather taps from a source image at unit stride. Position j and a tap with `shift` s meet
 * the source at u = j + s, per axis:
 *   forward         source x, stride S: x index = S u + residue - pad, where tap k has s = k D / S (rounded down) and
 *                   residue = k D mod S; the source is seen as one image (phase) per residue that occurs
 *   input gradient  source dy: index = u. Outputs S j + r - pad of residue r see the taps with k D mod S = r, at
 *                   s = -(k D - r) / S; each residue is a part, so that no product with a structural zero is computed
 */
export interface ConvPlan {
  readonly n: number;
  readonly groups: number;
  /** Per group: channels of the outputs and of the source. */
  readonly rows: number;
  readonly channels: number;
  /** Steps of the weights, in elements. */
  readonly rowStep: number;
  readonly channelStep: number;
  readonly source: Triple;
  readonly out: Triple;
  /** Source index = `step` * u + residue of the phase - `origin`. */
  readonly step: Triple;
  readonly origin: Triple;
  readonly residues: readonly Triple[];
  readonly lo: Triple;
  readonly hi: Triple;
  readonly minShift: Triple;
  readonly maxShift: Triple;
  readonly parts: readonly ConvPart[];
}

const axes = [0, 1, 2] as const;
const triple = (of: (axis: 0 | 1 | 2) => number): Triple => [of(0), of(1), of(2)];
const zero: Triple = [0, 0, 0];
const one: Triple = [1, 1, 1];

/** See `geometry` in the compiler for the parameters. */
export function convShape({ params }: OpInstruction): ConvShape {
  const [n, c, o, groups] = params;
  const at = (i: number) => triple((axis) => params[4 + 3 * i + axis]);
  return { n, c, o, groups, in: at(0), kernel: at(1), out: at(2), stride: at(3), pad: at(4), dilation: at(5) };
}

/** A 1x1 kernel that touches every element once: a product of matrices. */
export const isPointwise = (s: ConvShape): boolean =>
  axes.every((d) => s.kernel[d] === 1 && s.stride[d] === 1 && s.pad[d] === 0 && s.in[d] === s.out[d]);

/** Kernel positions, row-major. */
const positions = ([kz, ky, kx]: Triple): Triple[] =>
  Array.from({ length: kz * ky * kx }, (_, t) => [Math.floor(t / (ky * kx)), Math.floor(t / kx) % ky, t % kx]);

export function forwardPlan(s: ConvShape): ConvPlan {
  const [rows, channels, volume] = [s.o / s.groups, s.c / s.groups, product(s.kernel)];
  const residues: Triple[] = [];
  const phaseOf = (residue: Triple): number => {
    const known = residues.findIndex((r) => axes.every((d) => r[d] === residue[d]));
    return known < 0 ? residues.push(residue) - 1 : known;
  };
  const taps = positions(s.kernel).map(
    (k, at): Tap => ({
      at,
      shift: triple((d) => Math.floor((k[d] * s.dilation[d]) / s.stride[d])),
      phase: phaseOf(triple((d) => (k[d] * s.dilation[d]) % s.stride[d])),
    }),
  );
  return {
    ...{ n: s.n, groups: s.groups, rows, channels, rowStep: channels * volume, channelStep: volume },
    ...{ source: s.in, out: s.out, step: s.stride, origin: s.pad, residues, lo: zero, hi: s.out },
    minShift: zero,
    maxShift: triple((d) => Math.floor(((s.kernel[d] - 1) * s.dilation[d]) / s.stride[d])),
    parts: [{ lo: zero, hi: s.out, step: one, origin: zero, taps }],
  };
}

export function inputGradPlan(s: ConvShape): ConvPlan {
  const [rows, channels, volume] = [s.c / s.groups, s.o / s.groups, product(s.kernel)];
  const parts = positions(s.stride).map((r): ConvPart => {
    const origin = triple((d) => r[d] - s.pad[d]);
    const meets = (k: Triple) => axes.every((d) => (k[d] * s.dilation[d]) % s.stride[d] === r[d]);
    return {
      lo: triple((d) => -Math.floor(origin[d] / s.stride[d])),
      hi: triple((d) => Math.floor((s.in[d] - 1 - origin[d]) / s.stride[d]) + 1),
      step: s.stride,
      origin,
      taps: positions(s.kernel).flatMap((k, at) =>
        meets(k) ? [{ at, shift: triple((d) => -(k[d] * s.dilation[d] - r[d]) / s.stride[d]), phase: 0 }] : [],
      ),
    };
  });
  return {
    ...{ n: s.n, groups: s.groups, rows, channels, rowStep: volume, channelStep: rows * volume },
    ...{ source: s.out, out: s.in, step: one, origin: zero, residues: [zero], parts, maxShift: zero },
    lo: triple((d) => Math.min(...parts.map(({ lo }) => lo[d]))),
    hi: triple((d) => Math.max(...parts.map(({ hi }) => hi[d]))),
    minShift: triple((d) => Math.min(0, ...parts.flatMap(({ taps }) => taps.map(({ shift }) => shift[d])))),
  };
}

/**
 * A copy of the source around some positions: [channel][phase][z][y][x], zero where the source ends; or, if every tap lies
 * inside of it and the stride is 1, the source itself. Sizes in elements.
 */
export interface ConvBox {
  readonly inPlace: boolean;
  /** Of z, y and x. */
  readonly pitch: Triple;
  readonly plane: number;
  readonly channel: number;
}

/** The layout for these bands of positions, rows of which are read in vectors of `lanes`; `mayStay` where it is. */
export function boxLayout(plan: ConvPlan, bands: readonly Band[], lanes: number, mayStay = true): ConvBox {
  const count = triple((d) => Math.max(...bands.map(({ lo, hi }) => hi[d] - lo[d])));
  const inPlace =
    mayStay &&
    // A vector must not reach beyond the end of the memory.
    bands.every(({ lo, hi }) => hi[2] - lo[2] >= lanes) &&
    plan.residues.length === 1 &&
    axes.every(
      (d) =>
        plan.step[d] === 1 &&
        plan.residues[0][d] === plan.origin[d] &&
        plan.lo[d] + plan.minShift[d] >= 0 &&
        plan.hi[d] - 1 + plan.maxShift[d] < plan.source[d],
    );
  const [z, y, x] = inPlace ? plan.source : boxExtent(plan, count);
  // An odd number of cache lines, so that the same place of successive channels falls into different sets of a cache.
  const line = 64 / (16 / lanes);
  const plane = inPlace ? z * y * x : (2 * Math.floor(Math.ceil((z * y * x) / line) / 2) + 1) * line;
  return { inPlace, pitch: [y * x, x, 1], plane, channel: plane * plan.residues.length };
}

export const boxExtent = (plan: ConvPlan, count: Triple): Triple =>
  triple((d) => count[d] + plan.maxShift[d] - plan.minShift[d]);

/** Where a tap reads in the box, from the place of the position. */
export const tapOffset = (plan: ConvPlan, { pitch, plane }: ConvBox, { shift, phase }: Tap): number =>
  axes.reduce((sum, d) => sum + (shift[d] - plan.minShift[d]) * pitch[d], phase * plane);

/** Positions from `lo` up to `hi`. */
export interface Band {
  readonly lo: Triple;
  readonly hi: Triple;
}

export const bandSize = ({ lo, hi }: Band): Triple => triple((d) => hi[d] - lo[d]);

/** Positions in `bands` equal runs along one axis; a row is cut between whole vectors. */
export function bandsOf(
  { lo, hi }: ConvPlan,
  axis: number,
  bands: number,
  lanes: number,
): { lo: Triple; hi: Triple }[] {
  const unit = axis === 2 ? lanes : 1;
  const units = Math.ceil((hi[axis] - lo[axis]) / unit);
  const cut = (i: number) => Math.min(hi[axis], lo[axis] + Math.floor((units * i) / bands) * unit);
  return Array.from({ length: bands }, (_, i) => ({
    lo: triple((d) => (d === axis ? cut(i) : lo[d])),
    hi: triple((d) => (d === axis ? cut(i + 1) : hi[d])),
  }));
}
