import { ManabiError } from "../../../core/errors.ts";
import { extract, type FunctionBuilder, f32, f64, type Local, load, op, shuffle32, type Value } from "../assembler.ts";
import { hasRelaxedSimd } from "../features.ts";

/** A float type as the operations compute in it. */
export interface Real {
  readonly name: "f32" | "f64";
  readonly bytes: 4 | 8;
  /** In a vector. */
  readonly lanes: 4 | 2;
  readonly shape: "f32x4" | "f64x2";
  /** Loads of one value: into every lane, or into the first with zeros behind it. */
  readonly splat: string;
  readonly first: string;
}

const reals: Readonly<Record<string, Real>> = {
  f32: { name: "f32", bytes: 4, lanes: 4, shape: "f32x4", splat: "v128.load32_splat", first: "v128.load32_zero" },
  f64: { name: "f64", bytes: 8, lanes: 2, shape: "f64x2", splat: "v128.load64_splat", first: "v128.load64_zero" },
};

export function realOf(dtype: string): Real {
  const real = reals[dtype];
  if (!real) throw new ManabiError(`wasm: products are computed in f32 or f64, not in ${dtype}`);
  return real;
}

/** Rows of a tile: with one instruction for a product and its sum, no register is left for the product. */
export const tileRows = hasRelaxedSimd ? 6 : 4;
export const tileColumns = ({ lanes }: Real): number => 2 * lanes;

/** x * y + sum. */
export const multiplyAdd = ({ shape }: Real, x: Value, y: Value, sum: Value): Value =>
  hasRelaxedSimd ? op(`${shape}.relaxed_madd`, x, y, sum) : op(`${shape}.add`, sum, op(`${shape}.mul`, x, y));

export const constant = ({ name }: Real, value: number): Value => (name === "f32" ? f32(value) : f64(value));
export const splat = ({ shape }: Real, value: Value): Value => op(`${shape}.splat`, value);
export const loadOne = ({ name }: Real, address: Value, offset = 0): Value => load(`${name}.load`, address, offset);

/** The sum of the lanes, pairwise. */
export function sumLanes(real: Real, vector: Local): Value {
  const lane = (i: number) =>
    op(`${real.name}.add`, extract(real.shape, vector, i), extract(real.shape, vector, i + 1));
  return real.lanes === 2 ? lane(0) : op("f32.add", lane(0), lane(2));
}

/** As many vectors as lanes, rows and columns exchanged. */
export function transposeLanes(f: FunctionBuilder, { lanes }: Real, rows: readonly Value[]): Value[] {
  if (lanes === 2)
    return [
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ].map((four) => f.let(shuffle32(rows[0], rows[1], four)));
  const pair = (x: Value, y: Value) =>
    [
      [0, 4, 1, 5],
      [2, 6, 3, 7],
    ].map((four) => f.let(shuffle32(x, y, four)));
  const [low, high] = [pair(rows[0], rows[1]), pair(rows[2], rows[3])];
  return [0, 1].flatMap((half) =>
    [
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ].map((four) => f.let(shuffle32(low[half], high[half], four))),
  );
}
