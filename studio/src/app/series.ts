export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Points of a curve that goes on for long: neighbours are joined to their mean once there are `limit` of them. */
export class Series {
  readonly #limit: number;
  #points: Point[] = [];
  /** How many values a point stands for. */
  #stride = 1;
  #pending: Point[] = [];

  constructor(limit = 400) {
    this.#limit = limit;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  add(x: number, y: number): void {
    this.#pending.push({ x, y });
    if (this.#pending.length < this.#stride) return;
    this.#points.push(mean(this.#pending));
    this.#pending = [];
    if (this.#points.length < this.#limit) return;
    const pairs = Array.from({ length: this.#points.length >> 1 }, (_, i) => this.#points.slice(2 * i, 2 * i + 2));
    this.#points = pairs.map(mean);
    this.#stride *= 2;
  }

  /** Forgets what lies beyond `x`. */
  cut(x: number): void {
    this.#points = this.#points.filter((p) => p.x <= x);
    this.#pending = [];
    if (this.#points.length === 0) this.#stride = 1;
  }
}

/** The mean value, at the last place. */
const mean = (points: readonly Point[]): Point => ({
  x: points[points.length - 1].x,
  y: points.reduce((sum, { y }) => sum + y, 0) / points.length,
});
