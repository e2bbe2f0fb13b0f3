import type { Buffer, OpInstruction } from "../../../compiler/instruction.ts";
import { type Dispatch, type Operand, param } from "../wgsl/shader.ts";
import { forEach } from "./copy.ts";

/**
 * Of f32: result[z, i, j] = sum over p of left[z, i, p] right[z, p, j], whatever the operands are: matrices by strides, or
 * pictures whose windows are never laid out. It is computed in tiles, by a thread, or by a workgroup for each result.
 */
export interface Contraction {
  readonly label: string;
  readonly batches: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly operands: readonly Operand[];
  readonly target: Buffer;
  /**
   * What is left[z, i, p] is had in three steps, so that what takes divisions is done once for many terms:
   * `left(left_row(z, i), left_term(z, p))`; right[z, p, j] by `right(right_column(z, j), right_term(z, p))`; and
   * `place(z, i, j)` is the position in the result. Parameters of these functions are numbered from `firstParam`.
   */
  readonly functions: string;
  readonly params: readonly number[];
  /** Whether neighbouring terms, rather than rows or columns, are neighbours in memory. */
  readonly leftAlongTerms: boolean;
  readonly rightAlongTerms: boolean;
}

/** m, n, k, batches and the terms of one part come before the parameters of a contraction's functions. */
export const firstParam = 5;
const [m, n, k, batches, chunk] = [0, 1, 2, 3, 4].map(param);

interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Rows and columns of one thread. */
  readonly own: readonly [number, number];
}

/** Terms that a workgroup holds at a time. */
const depth = 16;
const square: Tile = { rows: 64, columns: 64, own: [4, 4] };
const small: Tile = { rows: 32, columns: 32, own: [2, 2] };
const flat: Tile = { rows: 16, columns: 64, own: [1, 4] };
const tall: Tile = { rows: 64, columns: 16, own: [4, 1] };

type Shape = Pick<Contraction, "batches" | "m" | "n" | "k">;

/** How a product of these sizes is computed. */
function scheduleOf({ batches, m, n, k }: Shape): Tile | "thread" | "workgroup" {
  const results = batches * m * n;
  if (Math.min(m, n) < 8) return k >= 128 && results < 1 << 14 ? "workgroup" : "thread";
  if (m <= 16 && n > 32) return flat;
  if (n <= 16 && m > 32) return tall;
  return m > 32 && n > 32 && results >= 1 << 17 ? square : small;
}

/** Workgroups that keep a device busy, and terms that are worth one. */
const [enoughGroups, fewestTerms] = [128, 256];

/** Into how many parts the sum of a product is split, so that there is work for the whole device. */
export function partsOf(shape: Shape): number {
  const tile = scheduleOf(shape);
  if (typeof tile === "string") return 1;
  const groups = groupsOf(shape, tile);
  return Math.max(1, Math.min(Math.ceil(enoughGroups / groups), Math.floor(shape.k / fewestTerms)));
}

const groupsOf = ({ batches, m, n }: Shape, { rows, columns }: Tile): number =>
  batches * Math.ceil(m / rows) * Math.ceil(n / columns);

/** `parts` results one after the other, each of a part of the terms, if there are several. */
export function contractionDispatch(c: Contraction, parts: number): Dispatch {
  const tile = scheduleOf(c);
  const perPart = Math.ceil(c.k / parts);
  const { code, groups } =
    tile === "thread"
      ? byThread(c)
      : tile === "workgroup"
        ? byWorkgroup(c)
        : { code: inTiles(c, tile), groups: groupsOf(c, tile) * parts };
  return {
    label: c.label,
    operands: [...c.operands, { buffer: c.target, offset: 0, written: true }],
    params: [c.m, c.n, c.k, c.batches, perPart, ...c.params],
    code,
    groups,
  };
}

const storeOf = ({ operands }: Contraction): string => `store${operands.length}`;

function byThread(c: Contraction): Pick<Dispatch, "code" | "groups"> {
  const text = `    let j = q % ${n};
    let i = (q / ${n}) % ${m};
    let z = q / ${n} / ${m};
    let row = left_row(z, i);
    let column = right_column(z, j);
    var sum = 0f;
    for (var p = 0; p < ${k}; p++) { sum += left(row, left_term(z, p)) * right(column, right_term(z, p)); }
    ${storeOf(c)}(place(z, i, j), sum);`;
  const count = c.batches * c.m * c.n;
  return forEach(count, text, c.functions, `${batches} * ${m} * ${n}`);
}

function byWorkgroup(c: Contraction): Pick<Dispatch, "code" | "groups"> {
  const threads = c.k >= 1024 ? 256 : 64;
  const halves: string[] = [];
  for (let half = threads / 2; half >= 1; half /= 2)
    halves.push(`  if (lane < ${half}) { sums[lane] += sums[lane + ${half}]; }\n  workgroupBarrier();`);
  const body = `  let j = group % ${n};
  let i = (group / ${n}) % ${m};
  let z = group / ${n} / ${m};
  let row = left_row(z, i);
  let column = right_column(z, j);
  var sum = 0f;
  for (var p = lane; p < ${k}; p += ${threads}) { sum += left(row, left_term(z, p)) * right(column, right_term(z, p)); }
  sums[lane] = sum;
  workgroupBarrier();
${halves.join("\n")}
  if (lane == 0) { ${storeOf(c)}(place(z, i, j), sums[0]); }`;
  const before = `var<workgroup> sums: array<f32, ${threads}>;\n${c.functions}`;
  return { code: { before, body, threads }, groups: c.batches * c.m * c.n };
}

/** Tiles of both operands go through the workgroup's memory; each thread adds up `own` results in registers. */
function inTiles(c: Contraction, { rows, columns, own: [tm, tn] }: Tile): Dispatch["code"] {
  const [across, down] = [columns / tn, rows / tm];
  const threads = across * down;
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const cells = range(tm).flatMap((r) => range(tn).map((s) => [r, s] as const));
  const left = fetching("left", "left_row", rows, c.leftAlongTerms, threads, "i0", m);
  const right = fetching("right", "right_column", columns, c.rightAlongTerms, threads, "j0", n);
  const body = `  let across = (${n} + ${columns - 1}) / ${columns};
  let tiles = across * ((${m} + ${rows - 1}) / ${rows});
  let z = (group / tiles) % ${batches};
  let part = group / tiles / ${batches};
  let i0 = ((group % tiles) / across) * ${rows};
  let j0 = ((group % tiles) % across) * ${columns};
  let ti = lane / ${across};
  let tj = lane % ${across};
${cells.map(([r, s]) => `  var c${r}_${s} = 0f;`).join("\n")}
  let end = min(${k}, (part + 1) * ${chunk});
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
  .map(
    ([r, s]) =>
      `  if (i0 + ti + ${r * down} < ${m} && j0 + tj + ${s * across} < ${n}) { ` +
      `${storeOf(c)}(part * ${batches} * ${m} * ${n} + place(z, i0 + ti + ${r * down}, j0 + tj + ${s * across}), c${r}_${s}); }`,
  )
  .join("\n")}`;
  const before = `var<workgroup> left_tile: array<f32, ${rows * depth}>;
var<workgroup> right_tile: array<f32, ${columns * depth}>;
${c.functions}`;
  return { before, body, threads };
}

/**
 * How the threads fetch a tile of `size` rows or columns by `depth` terms: neighbours fetch what are neighbours in
 * memory. `before` is what stays the same for all terms. Beyond the bounds the last element is read and 0 is taken.
 */
function fetching(
  side: "left" | "right",
  line: string,
  size: number,
  alongTerms: boolean,
  threads: number,
  first: string,
  bound: string,
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
    return `    ${side}_tile[${name("t", h)} * ${size} + ${name("s", h)}] = select(0f, ${value}, ${inside});`;
  });
  return { before: before.join("\n"), fetch: [...terms, ...fetch].join("\n") };
}

/** A product in parts, then their sum. */
export function splitProduct(op: OpInstruction, parts: number): OpInstruction[] {
  if (parts === 1) return [op];
  const target = op.buffers[op.buffers.length - 1];
  const scratch: Buffer = { size: parts * target.size, dtype: target.dtype, place: { kind: "temp" } };
  return [
    { ...op, name: `split${parts}_${op.name}`, buffers: [...op.buffers.slice(0, -1), scratch] },
    { kind: "op", name: "sum_parts", buffers: [scratch, target], offsets: [0, 0], params: [parts] },
  ];
}

/** Adds up the parts of a product, in their order. */
export function sumPartsDispatch({ buffers: [parts, target], params: [count] }: OpInstruction): Dispatch {
  const text = `    var sum = load0(q);
    for (var part = 1; part < ${param(1)}; part++) { sum += load0(part * ${param(0)} + q); }
    store1(q, sum);`;
  return {
    label: "a sum of parts",
    operands: [
      { buffer: parts, offset: 0, written: false },
      { buffer: target, offset: 0, written: true },
    ],
    params: [target.size, count],
    ...forEach(target.size, text),
  };
}
