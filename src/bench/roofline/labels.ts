export interface Disc {
  readonly x: number;
  readonly y: number;
  readonly r: number;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Height of a line of text, and width of a digit with some air, in units of the view box. */
const [height, digit] = [14, 9];
const directions = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => (i * Math.PI) / 4);

const boxAround = ({ x, y }: Point, width: number): Box => ({
  left: x - width / 2,
  right: x + width / 2,
  top: y - height / 2,
  bottom: y + height / 2,
});

/** A picture with marks, in which texts are given places where they cover neither marks nor each other. */
export class LabelSpace {
  readonly #area: Box;
  readonly #marks: readonly Disc[];
  readonly #taken: Box[] = [];

  constructor(area: Box, marks: readonly Disc[]) {
    this.#area = area;
    this.#marks = marks;
  }

  /** The first of the places where a text of this width, beginning there and rising by `angle` (radians), is free; the
   *  first of all where none is. `places` are on the base line. */
  along(places: readonly Point[], angle: number, width: number): Point {
    // Text that rises is a row of boxes.
    const boxes = ({ x, y }: Point): Box[] =>
      Array.from({ length: Math.round(width / digit) }, (_, i) => {
        const at = (i + 0.5) * digit;
        return boxAround({ x: x + at * Math.cos(angle), y: y + at * Math.sin(angle) - height / 3 }, digit);
      });
    const place = places.find((p) => boxes(p).every((box) => this.#free(box, this.#marks))) ?? places[0];
    this.#taken.push(...boxes(place));
    return place;
  }

  /** The middle of a short text for a mark: in it if it is large enough, else at the nearest free place around it; null
   *  where there is none. */
  beside(mark: Disc, text: string): Point | null {
    const { x, y, r } = mark;
    const width = text.length * digit;
    const others = this.#marks.filter((other) => other.x !== x || other.y !== y || other.r !== r);
    const inside = r > width / 2 + 2 && r > height / 2 + 1 ? [{ x, y }] : [];
    const around = [3, 9, 17].flatMap((gap) =>
      directions.map((a) => ({
        x: x + Math.cos(a) * (r + gap + (width / 2) * Math.abs(Math.cos(a))),
        y: y + Math.sin(a) * (r + gap + (height / 2 - 2) * Math.abs(Math.sin(a))),
      })),
    );
    const place = [...inside, ...around].find((p) => this.#free(boxAround(p, width), others));
    if (!place) return null;
    this.#taken.push(boxAround(place, width));
    return place;
  }

  #free(box: Box, marks: readonly Disc[]): boolean {
    const { left, right, top, bottom } = this.#area;
    return (
      box.left >= left &&
      box.right <= right &&
      box.top >= top &&
      box.bottom <= bottom &&
      this.#taken.every(
        (t) => t.right <= box.left || box.right <= t.left || t.bottom <= box.top || box.bottom <= t.top,
      ) &&
      marks.every((mark) => !touches(mark, box))
    );
  }
}

function touches({ x, y, r }: Disc, { left, right, top, bottom }: Box): boolean {
  const dx = x - Math.max(left, Math.min(x, right));
  const dy = y - Math.max(top, Math.min(y, bottom));
  return dx * dx + dy * dy < r * r;
}
