import type { Buffer, OpInstruction } from "../../../compiler/instruction.ts";
import { type Dispatch, param, type Workgroups } from "../wgsl/shader.ts";
import { type Contraction, functionsOf } from "./contraction.ts";
import { forEach } from "./copy.ts";
import { finishOf } from "./finish.ts";
import { inMatrices, type MatrixTile, matrixTile } from "./matrices.ts";
import { flat, inTiles, small, square, type Tile, tall } from "./tiles.ts";

const [m, n, k, batches] = [0, 1, 2, 3].map(param);

/** How a product is computed. */
function scheduleOf(c: Contraction, workgroups: Workgroups): Tile | MatrixTile | "thread" | "workgroup" {
  const { batches, m, n, k } = c;
  const results = batches * m * n;
  if (Math.min(m, n) < 8) return k >= 128 && results < 1 << 14 ? "workgroup" : "thread";
  const matrices = Math.min(m, n) > 16 && matrixTile(c.operands, workgroups);
  if (matrices) return matrices;
  if (m <= 16 && n > 32) return flat;
  if (n <= 16 && m > 32) return tall;
  return m > 32 && n > 32 && results >= 1 << 17 ? square : small;
}

/** Workgroups that keep a device busy, and terms that are worth one. */
const [enoughGroups, fewestTerms] = [128, 256];

/** Into how many parts the sum of a product is split, so that there is work for the whole device. */
export function partsOf(c: Contraction, workgroups: Workgroups): number {
  const tile = scheduleOf(c, workgroups);
  if (typeof tile === "string") return 1;
  const groups = groupsOf(c, tile);
  return Math.max(1, Math.min(Math.ceil(enoughGroups / groups), Math.floor(c.k / fewestTerms)));
}

const groupsOf = ({ batches, m, n }: Contraction, { rows, columns }: Tile | MatrixTile): number =>
  batches * Math.ceil(m / rows) * Math.ceil(n / columns);

/** `parts` results one after the other, each of a part of the terms, if there are several. */
export function contractionDispatch(c: Contraction, parts: number, workgroups: Workgroups): Dispatch {
  const tile = scheduleOf(c, workgroups);
  const perPart = Math.ceil(c.k / parts);
  const inParts = () => {
    if (tile === "thread") return byThread(c);
    if (tile === "workgroup") return byWorkgroup(c);
    return { code: "unit" in tile ? inMatrices(c, tile) : inTiles(c, tile), groups: groupsOf(c, tile) * parts };
  };
  const { code, groups } = inParts();
  return {
    label: c.label,
    operands: [...c.operands, ...c.finish.operands],
    params: [c.m, c.n, c.k, c.batches, perPart, ...c.params, ...c.finish.params],
    code,
    groups,
  };
}

function byThread(c: Contraction): Pick<Dispatch, "code" | "groups"> {
  const text = `    let j = q % ${n};
    let i = (q / ${n}) % ${m};
    let z = q / ${n} / ${m};
    let row = left_row(z, i);
    let column = right_column(z, j);
    var sum = 0f;
    for (var p = 0; p < ${k}; p++) { sum += left(row, left_term(z, p)) * right(column, right_term(z, p)); }
    ${c.finish.name}(place(z, i, j), sum);`;
  const count = c.batches * c.m * c.n;
  return forEach(count, text, functionsOf(c), `${batches} * ${m} * ${n}`);
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
  if (lane == 0) { ${c.finish.name}(place(z, i, j), sums[0]); }`;
  const before = `var<workgroup> sums: array<f32, ${threads}>;\n${functionsOf(c)}`;
  return { code: { before, body, threads }, groups: c.batches * c.m * c.n };
}

/** A product in parts, then their sum. */
export function splitProduct(op: OpInstruction, parts: number): OpInstruction[] {
  if (parts === 1) return [op];
  const target = op.buffers[op.buffers.length - 1];
  const scratch: Buffer = { size: parts * target.size, dtype: target.dtype, place: { kind: "temp" } };
  const { epilogue, ...product } = op;
  return [
    { ...product, name: `split${parts}_${op.name}`, buffers: [...op.buffers.slice(0, -1), scratch] },
    { kind: "op", name: "sum_parts", buffers: [scratch, target], offsets: [0, 0], params: [parts], epilogue },
  ];
}

/** Adds up the parts of a product, in their order. */
export function sumPartsDispatch(op: OpInstruction): Dispatch {
  const [parts, target] = op.buffers;
  const finish = finishOf(op, 1, 2);
  const text = `    var sum = load0(q);
    for (var part = 1; part < ${param(1)}; part++) { sum += load0(part * ${param(0)} + q); }
    ${finish.name}(q, sum);`;
  return {
    label: "a sum of parts",
    operands: [{ buffer: parts, offset: 0, written: false }, ...finish.operands],
    params: [target.size, ...op.params, ...finish.params],
    ...forEach(target.size, text, finish.text),
  };
}
