import { Matrix } from "ml-matrix";

/** Examples around the one that is explained, in the terms of the explanation. */
export interface Neighbourhood {
  /** [examples, columns]; the first row is the explained example. */
  readonly data: Float64Array<ArrayBuffer>;
  readonly examples: number;
  readonly columns: number;
  /** How much each example counts, by its distance. */
  readonly proximity: Float64Array<ArrayBuffer>;
}

/** What a weighted least-squares fit with an intercept needs to know of the data. */
export interface Moments {
  /** Weighted means of the columns. */
  readonly means: Float64Array<ArrayBuffer>;
  /** Weighted mean of the scores. */
  readonly meanScore: number;
  /** Weighted sums of products of what is centred, [columns + 1, columns + 1]: the last row and column are the scores'. */
  readonly products: Matrix;
}

export function moments({ data, examples, columns, proximity }: Neighbourhood, scores: Float64Array): Moments {
  const means = new Float64Array(columns);
  let [total, shift] = [0, 0]; // of the scores from the first one: equal scores are then exactly their mean
  for (let i = 0; i < examples; i++) {
    total += proximity[i];
    shift += proximity[i] * (scores[i] - scores[0]);
    for (let c = 0; c < columns; c++) means[c] += proximity[i] * data[i * columns + c];
  }
  shift /= total;
  for (let c = 0; c < columns; c++) means[c] /= total;
  const centred = new Matrix(examples, columns + 1);
  for (let i = 0; i < examples; i++) {
    const root = Math.sqrt(proximity[i]);
    for (let c = 0; c < columns; c++) centred.set(i, c, root * (data[i * columns + c] - means[c]));
    centred.set(i, columns, root * (scores[i] - scores[0] - shift));
  }
  return { means, meanScore: scores[0] + shift, products: centred.transpose().mmul(centred) };
}

/**
 * The sweep operator (Beaton 1964) on a symmetric matrix, in place. With the columns A swept, rows A hold the coefficients
 * of a least-squares fit of every other column by A, the rest holds sums of products of the residuals, and the block of A
 * is minus its inverse. Sweeping a column again takes it out.
 */
export function sweep(products: Matrix, k: number): void {
  const size = products.rows;
  const pivot = products.get(k, k);
  const column = Float64Array.from({ length: size }, (_, i) => products.get(i, k));
  const sign = pivot < 0 ? -1 : 1; // a swept column has minus its inverse here
  for (let i = 0; i < size; i++) {
    if (i === k) continue;
    const share = column[i] / pivot;
    for (let j = 0; j < size; j++) if (j !== k) products.set(i, j, products.get(i, j) - share * column[j]);
    products.set(i, k, sign * share);
    products.set(k, i, sign * share);
  }
  products.set(k, k, -1 / pivot);
}
