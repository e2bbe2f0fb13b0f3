/**
 * The error function to f64 accuracy by three rational approximations: W. J. Cody, "Rational Chebyshev approximations
 * for the error function", Math. Comp. 23 (1969). Coefficients run from the highest power to the lowest.
 */
export function erf(x: number): number {
  const y = Math.abs(x);
  if (y <= 0.46875) return x * ratio(erfRatios.near, y * y);
  if (!(y < 6)) return Number.isNaN(x) ? x : Math.sign(x); // 1 - erf(6) is 2e-17
  const tail = y <= 4 ? ratio(erfRatios.middle, y) : (inverseSqrtPi - ratio(erfRatios.far, 1 / (y * y)) / (y * y)) / y;
  // exp(-y^2) with y split, so that the rounding of the square does not reach the exponent.
  const high = Math.trunc(y * 16) / 16;
  const rest = (y - high) * (y + high);
  return Math.sign(x) * (1 - Math.exp(-high * high) * Math.exp(-rest) * tail);
}

export type Ratio = readonly [numerator: readonly number[], denominator: readonly number[]];

export const inverseSqrtPi = 1 / Math.sqrt(Math.PI);

/** Coefficients of the three ranges. */
export const erfRatios = {
  /** erf(x) / x in x^2, for |x| <= 0.46875. */
  near: [
    [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694],
    [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
  ],
  /** exp(x^2) erfc(x) in x, for 0.46875 <= x <= 4. */
  middle: [
    [
      2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
      881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
    ],
    [
      1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
      4362.619090143247, 3439.3676741437216, 1230.3393548037495,
    ],
  ],
  /** x^2 (1 / sqrt(pi) - x exp(x^2) erfc(x)) in 1 / x^2, for x >= 4. */
  far: [
    [
      0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
      0.0006587491615298378,
    ],
    [1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918],
  ],
} satisfies Record<string, Ratio>;

function ratio([numerator, denominator]: Ratio, x: number): number {
  let p = 0;
  let q = 0;
  for (const c of numerator) p = p * x + c;
  for (const c of denominator) q = q * x + c;
  return p / q;
}
