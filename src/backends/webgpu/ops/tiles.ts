import { type Dispatch, param } from "../wgsl/shader.ts";
import { type Contraction, functionsOf } from "./contraction.ts";

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Rows and columns of one thread. */
  readonly own: readonly [number, number];
}

/** Terms that a workgroup holds at a time. */
export const depth = 16;
export const square: Tile = { rows: 64, columns: 64, own: [4, 4] };
export const small: Tile = { rows: 32, columns: 32, own: [2, 2] };
export const flat: Tile = { rows: 16, columns: 64, own: [1, 4] };
export const tall: Tile = { rows: 64, columns: 16, own: [4, 1] };

const [m, n, k, batches, chunk] = [0, 1, 2, 3, 4].map(param);

/** Tiles of both operands go through the workgroup's memory; each thread adds up `own` results in registers. */
export function inTiles(c: Contraction, { rows, columns, own: [tm, tn] }: Tile): Dispatch["code"] {
  const [across, down] = [columns / tn, rows / tm];
  const threads = across * down;
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const cells = range(tm).flatMap((r) => range(tn).map((s) => [r, s] as const));
  const left = fetching("left", "left_row", rows, c.leftAlongTerms, threads, "i0", m);
  const right = fetching("right", "right_column", columns, c.rightAlongTerms, threads, "j0", n);
  const body = `${tilePlace(rows, columns)}
  let ti = lane / ${across};
  let tj = lane % ${across};
${cells.map(([r, s]) => `  var c${r}_${s} = 0f;`).join("\n")}
${left.before}
${right.before}
  for (var p0 = part * ${chunk}; p0 < end; p0 += ${depth}) {
${left.fetch}
${right.fetch}
    workgroupBarrier();
    for (var t = 0; t < ${depth}; t++) {
${range(tm)
  .map((r) => `      let a${r} = left_tile[t * ${rows} + ti + ${r * down}];`)
  .join("\n")}
${range(tn)
  .map((s) => `      let b${s} = right_tile[t * ${columns} + tj + ${s * across}];`)
  .join("\n")}
${cells.map(([r, s]) => `      c${r}_${s} += a${r} * b${s};`).join("\n")}
    }
    workgroupBarrier();
  }
${cells
  .map(([r, s]) => `  ${storeInside(c, `i0 + ti + ${r * down}`, `j0 + tj + ${s * across}`, `c${r}_${s}`)}`)
  .join("\n")}`;
  const before = `var<workgroup> left_tile: array<f32, ${rows * depth}>;
var<workgroup> right_tile: array<f32, ${columns * depth}>;
${functionsOf(c)}`;
  return { before, body, threads };
}

/** Where the tile of a workgroup begins in the result, and the end of the terms of its part. */
export const tilePlace = (
  rows: number,
  columns: number,
): string => `  let across = (${n} + ${columns - 1}) / ${columns};
  let tiles = across * ((${m} + ${rows - 1}) / ${rows});
  let z = (group / tiles) % ${batches};
  let part = group / tiles / ${batches};
  let i0 = ((group % tiles) / across) * ${rows};
  let j0 = ((group % tiles) % across) * ${columns};
  let end = min(${k}, (part + 1) * ${chunk});`;

/** Stores what belongs at row `i` and column `j` of this part's result, where there are such. */
export const storeInside = (c: Contraction, i: string, j: string, value: string): string =>
  `if (${i} < ${m} && ${j} < ${n}) { ` +
  `${c.finish.name}(part * ${batches} * ${m} * ${n} + place(z, ${i}, ${j}), ${value}); }`;

/**
 * How the threads fetch a tile of `size` rows or columns by `depth` terms: neighbours fetch what are neighbours in
 * memory. `before` is what stays the same for all terms. Beyond the bounds the last element is read and 0 is taken.
 * `convert` makes an element of the tile of an f32.
 */
export function fetching(
  side: "left" | "right",
  line: string,
  size: number,
  alongTerms: boolean,
  threads: number,
  first: string,
  bound: string,
  convert = (value: string) => value,
): { readonly before: string; readonly fetch: string } {
  const loads = Array.from({ length: (size * depth) / threads }, (_, h) => h);
  const step = threads / (alongTerms ? depth : size);
  const [many, one] = alongTerms ? ["s", "t"] : ["t", "s"];
  const name = (what: string, h: number) => `${side}_${what}${what === one ? "" : h}`;
  const lines = alongTerms ? loads : [0];
  const before = [
    `  let ${side}_${one} = lane % ${alongTerms ? depth : size};`,
    ...loads.map((h) => `  let ${name(many, h)} = lane / ${alongTerms ? depth : size} + ${h * step};`),
    ...lines.map((h) => `  let ${side}_line${h} = ${line}(z, min(${first} + ${name("s", h)}, ${bound} - 1));`),
  ];
  const terms = (alongTerms ? [0] : loads).map(
    (h) => `    let ${side}_term${h} = ${side}_term(z, min(p0 + ${name("t", h)}, end - 1));`,
  );
  const fetch = loads.map((h) => {
    const value = `${side}(${side}_line${alongTerms ? h : 0}, ${side}_term${alongTerms ? 0 : h})`;
    const inside = `p0 + ${name("t", h)} < end && ${first} + ${name("s", h)} < ${bound}`;
    return `    ${side}_tile[${name("t", h)} * ${size} + ${name("s", h)}] = ${convert(`select(0f, ${value}, ${inside})`)};`;
  });
  return { before: before.join("\n"), fetch: [...terms, ...fetch].join("\n") };
}
