import { type Moments, sweep } from "./moments.ts";

/** What part of a column's sum of squares must be left after the chosen ones for it to say anything of its own. */
const independence = 1e-10;

/** The columns which, added one by one, raise R² of the weighted least-squares fit the most. */
export function forwardSelection({ products }: Moments, count: number): number[] {
  const swept = products.clone();
  const columns = products.rows - 1;
  const chosen: number[] = [];
  const left = new Set(Array.from({ length: columns }, (_, c) => c));
  while (chosen.length < Math.min(count, columns)) {
    let [best, gain] = [-1, -1];
    for (const c of left) {
      const rest = swept.get(c, c);
      const explains = rest > independence * products.get(c, c) ? swept.get(c, columns) ** 2 / rest : 0;
      if (explains > gain) [best, gain] = [c, explains];
    }
    if (swept.get(best, best) > independence * products.get(best, best)) sweep(swept, best);
    chosen.push(best);
    left.delete(best);
  }
  return chosen;
}

/**
 * The columns on the path of the lasso, from the heaviest penalty to none: those that are not zero at the last bend of the
 * path with `count` of them at most. The path is piecewise linear and is followed exactly (least angle regression with
 * the lasso's modification, Efron et al. 2004).
 */
export function lassoPath({ products }: Pick<Moments, "products">, count: number): number[] {
  const columns = products.rows - 1;
  const path = new LassoPath(columns, products);
  let chosen: number[] | null = null;
  // Columns enter and leave; a path that goes round is cut, as scikit-learn does.
  for (let bend = 0; bend < 8 * columns && path.advance(); bend++) {
    const used = path.nonzero();
    if (chosen === null || used.length <= count) chosen = used;
  }
  return chosen ?? [];
}

/** Follows the lasso's coefficients from bend to bend. */
class LassoPath {
  readonly #columns: number;
  readonly #products: Moments["products"];
  /** With the active columns swept. */
  readonly #swept: Moments["products"];
  readonly #coefficients: Float64Array;
  /** Products of each column with the residual. */
  readonly #correlations: Float64Array;
  readonly #active = new Set<number>();
  /** Columns that the others determine. */
  readonly #redundant = new Set<number>();
  #dropped = false;
  readonly #least: number;

  constructor(columns: number, products: Moments["products"]) {
    this.#columns = columns;
    this.#products = products;
    this.#swept = products.clone();
    this.#coefficients = new Float64Array(columns);
    this.#correlations = Float64Array.from({ length: columns }, (_, c) => products.get(c, columns));
    this.#least = 1e-10 * this.#largest();
  }

  nonzero(): number[] {
    return [...this.#active].filter((c) => this.#coefficients[c] !== 0).sort((a, b) => a - b);
  }

  #largest(): number {
    let largest = 0;
    for (let c = 0; c < this.#columns; c++)
      if (!this.#redundant.has(c)) largest = Math.max(largest, Math.abs(this.#correlations[c]));
    return largest;
  }

  /** Goes to the next bend; false where the path has ended. */
  advance(): boolean {
    if (!this.#dropped) this.#enter();
    const level = this.#largest();
    if (this.#active.size === 0 || level <= this.#least) return false;
    const slopes = this.#slopes();
    const active = [...this.#active];
    let step = level; // to the end of the path
    for (let c = 0; c < this.#columns; c++) {
      if (this.#active.has(c) || this.#redundant.has(c)) continue;
      const [correlation, slope] = [this.#correlations[c], slopes[c]];
      for (const to of [(level - correlation) / (1 - slope), (level + correlation) / (1 + slope)])
        if (to > 1e-12 * level && to < step) step = to;
    }
    let leaving = -1;
    for (const c of active) {
      const to = -this.#coefficients[c] / slopes[c];
      if (to > 0 && to < step) [step, leaving] = [to, c];
    }
    const signs = new Map(active.map((c) => [c, Math.sign(this.#correlations[c])]));
    for (let c = 0; c < this.#columns; c++) {
      if (this.#active.has(c)) {
        this.#coefficients[c] += step * slopes[c];
        this.#correlations[c] = (signs.get(c) as number) * (level - step);
      } else this.#correlations[c] -= step * slopes[c];
    }
    this.#dropped = leaving >= 0;
    if (this.#dropped) {
      this.#coefficients[leaving] = 0;
      this.#active.delete(leaving);
      sweep(this.#swept, leaving);
    }
    return true;
  }

  /** Makes the column most correlated with the residual active. */
  #enter(): void {
    for (;;) {
      let best = -1;
      for (let c = 0; c < this.#columns; c++) {
        if (this.#active.has(c) || this.#redundant.has(c)) continue;
        if (best < 0 || Math.abs(this.#correlations[c]) > Math.abs(this.#correlations[best])) best = c;
      }
      if (best < 0) return;
      if (this.#swept.get(best, best) > independence * this.#products.get(best, best)) {
        this.#active.add(best);
        sweep(this.#swept, best);
        return;
      }
      this.#redundant.add(best);
    }
  }

  /** For a step of 1, at which all correlations of active columns fall by 1: how much the coefficients of active columns
   *  grow, and how much the correlations of the others fall. */
  #slopes(): Float64Array {
    const slopes = new Float64Array(this.#columns);
    for (const a of this.#active) {
      const sign = Math.sign(this.#correlations[a]);
      for (let c = 0; c < this.#columns; c++)
        slopes[c] += sign * this.#swept.get(a, c) * (this.#active.has(c) ? -1 : 1);
    }
    return slopes;
  }
}
