import type { TypedArray } from "../../core/dtype.ts";

/** A matrix inside an array, by strides. */
export interface Matrix {
  readonly data: TypedArray;
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** Dense row-major rows of `columns` elements. */
export const rowMajor = (data: TypedArray, offset: number, columns: number): Matrix => ({
  data,
  offset,
  rowStride: columns,
  columnStride: 1,
});

/** The same elements with rows and columns exchanged. */
export const transposed = ({ data, offset, rowStride, columnStride }: Matrix): Matrix => ({
  data,
  offset,
  rowStride: columnStride,
  columnStride: rowStride,
});

/**
 * c [m, n] += a [m, k] b [k, n], with c dense from `offset`. Tiles of 2x4 sums in f64 read panels that hold their
 * operands one behind the other, so strides and dtypes cost nothing in the inner loop.
 */
export function gemm(m: number, n: number, k: number, a: Matrix, b: Matrix, c: TypedArray, offset: number): void {
  const left = new Float64Array(Math.ceil(m / 2) * 2 * k);
  for (let i = 0; i < m; i += 2) pack(left, i * k, 2, a, i, m, k);
  const right = new Float64Array(4 * k);
  const columns = transposed(b);
  const tile = new Float64Array(8);
  for (let j = 0; j < n; j += 4) {
    pack(right, 0, 4, columns, j, n, k);
    const width = Math.min(4, n - j);
    for (let i = 0; i < m; i += 2) {
      multiply(tile, left, i * k, right, k);
      const height = Math.min(2, m - i);
      for (let r = 0; r < height; r++) {
        const row = offset + (i + r) * n + j;
        for (let s = 0; s < width; s++) c[row + s] += tile[r * 4 + s];
      }
    }
  }
}

/** panel[p * size + r] = x[from + r, p]; rows from `rows` on are zero. */
function pack(panel: Float64Array, at: number, size: number, x: Matrix, from: number, rows: number, k: number): void {
  const { data, rowStride, columnStride } = x;
  for (let r = 0; r < size; r++) {
    let source = x.offset + (from + r) * rowStride;
    if (from + r >= rows) for (let p = 0, o = at + r; p < k; p++, o += size) panel[o] = 0;
    else for (let p = 0, o = at + r; p < k; p++, o += size, source += columnStride) panel[o] = data[source];
  }
}

/** tile [2, 4] = the product of a panel of two rows and a panel of four columns. */
function multiply(tile: Float64Array, a: Float64Array, at: number, b: Float64Array, k: number): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  for (let p = at, q = 0; q < 4 * k; p += 2, q += 4) {
    const a0 = a[p];
    const a1 = a[p + 1];
    const b0 = b[q];
    const b1 = b[q + 1];
    const b2 = b[q + 2];
    const b3 = b[q + 3];
    s00 += a0 * b0;
    s01 += a0 * b1;
    s02 += a0 * b2;
    s03 += a0 * b3;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s12 += a1 * b2;
    s13 += a1 * b3;
  }
  tile[0] = s00;
  tile[1] = s01;
  tile[2] = s02;
  tile[3] = s03;
  tile[4] = s10;
  tile[5] = s11;
  tile[6] = s12;
  tile[7] = s13;
}
