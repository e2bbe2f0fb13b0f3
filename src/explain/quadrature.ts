/** Points in [0, 1] and weights that sum to 1: integral of f ~ sum_i weights_i f(points_i). */
export interface Rule {
  readonly points: Float64Array<ArrayBuffer>;
  readonly weights: Float64Array<ArrayBuffer>;
}

/** Exact for polynomials of degree 2 n - 1: the points are the roots of the Legendre polynomial P_n, found by Newton's
 *  method (Abramowitz and Stegun 25.4.30). */
function gaussLegendre(n: number): Rule {
  const points = new Float64Array(n);
  const weights = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let x = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 0;
    for (let round = 0; round < 8; round++) {
      let [below, value] = [0, 1]; // P_{k-1}, P_k
      for (let k = 1; k <= n; k++) [below, value] = [value, ((2 * k - 1) * x * value - (k - 1) * below) / k];
      slope = (n * (x * value - below)) / (x * x - 1);
      x -= value / slope;
    }
    points[i] = (1 + x) / 2;
    weights[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { points, weights };
}

/** The middles of n equal parts: robust where f has steps, as the gradients of ReLU networks do. */
const midpoint = (n: number): Rule => ({
  points: Float64Array.from({ length: n }, (_, i) => (i + 0.5) / n),
  weights: new Float64Array(n).fill(1 / n),
});

export const quadratures = { gaussLegendre, midpoint };

export type Quadrature = keyof typeof quadratures;
