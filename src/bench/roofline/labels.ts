interface Disc {
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

export interface Label {
  readonly text: string;
  /** The middle of the text. */
  readonly x: number;
  readonly y: number;
}

/** Height and width of a digit of a label, in units of the view box. */
const [height, digit] = [14, 8];
const directions = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => (i * Math.PI) / 4);

/**
 * Places labels in or beside their marks: in the middle of a mark that is large enough and has no other mark over it,
 * else at the nearest free spot around it. One that finds no free spot is left out rather than drawn over another.
 */
export function placeLabels(wanted: readonly (Disc & { text: string })[], marks: readonly Disc[], area: Box): Label[] {
  const taken: Box[] = [];
  return wanted.flatMap(({ x, y, r, text }): Label[] => {
    const [halfWidth, halfHeight] = [(text.length * digit) / 2, height / 2];
    const box = (cx: number, cy: number): Box => ({
      left: cx - halfWidth,
      right: cx + halfWidth,
      top: cy - halfHeight,
      bottom: cy + halfHeight,
    });
    const others = marks.filter((mark) => mark.x !== x || mark.y !== y || mark.r !== r);
    const free = (b: Box) =>
      b.left >= area.left &&
      b.right <= area.right &&
      b.top >= area.top &&
      b.bottom <= area.bottom &&
      taken.every((t) => t.right <= b.left || b.right <= t.left || t.bottom <= b.top || b.bottom <= t.top) &&
      others.every((mark) => !touches(mark, b));
    const spots = [
      ...(r > halfWidth + 3 && r > halfHeight + 1 ? [[x, y]] : []),
      ...[4, 10, 18].flatMap((gap) =>
        directions.map((a) => [
          x + Math.cos(a) * (r + gap + halfWidth * Math.abs(Math.cos(a))),
          y + Math.sin(a) * (r + gap + (halfHeight - 2) * Math.abs(Math.sin(a))),
        ]),
      ),
    ];
    const spot = spots.find(([cx, cy]) => free(box(cx, cy)));
    if (!spot) return [];
    taken.push(box(spot[0], spot[1]));
    return [{ text, x: spot[0], y: spot[1] }];
  });
}

function touches({ x, y, r }: Disc, { left, right, top, bottom }: Box): boolean {
  const dx = x - Math.max(left, Math.min(x, right));
  const dy = y - Math.max(top, Math.min(y, bottom));
  return dx * dx + dy * dy < r * r;
}
