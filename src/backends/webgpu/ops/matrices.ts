import { type Dispatch, type MatrixUnit, type Operand, param, type Workgroups } from "../wgsl/shader.ts";
import { type Contraction, functionsOf } from "./contraction.ts";
import { depth, fetching, storeInside, tilePlace } from "./tiles.ts";

/** Sides of a workgroup's tile, and its threads; one tile of results per subgroup goes through shared memory as f32. */
const [side, threads] = [64, 128];

/** A tile that subgroups share: each multiplies `rowUnits` x `columnUnits` matrices of the device's size. */
export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  readonly unit: MatrixUnit;
  /** Subgroups below each other and side by side. */
  readonly grid: readonly [down: number, across: number];
  readonly rowUnits: number;
  readonly columnUnits: number;
}

/**
 * How a device with subgroup matrices multiplies these operands; null where it has none that lose nothing. f16 operands
 * are multiplied as f16, anything else as f32 where the device does that; sums are f32.
 */
export function matrixTile(
  operands: readonly Operand[],
  { subgroups, matrices, shared }: Workgroups,
): MatrixTile | null {
  if (!subgroups || subgroups.most > threads) return null;
  const component = operands.every(({ buffer }) => buffer.dtype === "f16") ? "f16" : "f32";
  const count = threads / subgroups.most;
  const down = 2 ** Math.floor(Math.log2(count) / 2);
  const grid = [down, count / down] as const;
  const [rows, columns] = grid.map((n) => side / n);
  const fits = ({ m, n, k }: MatrixUnit) => rows % m === 0 && columns % n === 0 && depth % k === 0;
  const unit = matrices.find((u) => u.component === component && fits(u));
  if (!unit) return null;
  const bytes = 2 * side * depth * { f16: 2, f32: 4 }[component] + 4 * count * unit.m * unit.n;
  if (bytes > shared) return null;
  return { rows: side, columns: side, unit, grid, rowUnits: rows / unit.m, columnUnits: columns / unit.n };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/**
 * A product by subgroup matrices. Tiles of both operands lie in the workgroup's memory as they do without; each subgroup
 * adds up its part of the result, and what it has goes by way of memory to where `place` says, one matrix at a time.
 */
export function inMatrices(c: Contraction, tile: MatrixTile): Dispatch["code"] {
  const { rows, columns, unit, grid, rowUnits, columnUnits } = tile;
  const [down, across] = grid;
  const { component } = unit;
  const [m, n] = [0, 1].map(param);
  const convert = (value: string) => (component === "f16" ? `f16(${value})` : value);
  const left = fetching("left", "left_row", rows, c.leftAlongTerms, threads, "i0", m, convert);
  const right = fetching("right", "right_column", columns, c.rightAlongTerms, threads, "j0", n, convert);
  const results = range(rowUnits).flatMap((r) => range(columnUnits).map((s) => [r, s] as const));
  const kinds = {
    left: `subgroup_matrix_left<${component}, ${unit.k}, ${unit.m}>`,
    right: `subgroup_matrix_right<${component}, ${unit.n}, ${unit.k}>`,
    result: `subgroup_matrix_result<f32, ${unit.n}, ${unit.m}>`,
  };
  /** The tiles lie term by term: columns of the left matrix, rows of the right one. */
  const load = (kind: "left" | "right", order: string, term: number, at: string, size: number) =>
    `subgroupMatrixLoad<${kinds[kind]}, ${order}>(&${kind}_tile, ${term * size}u + ${at}, ${size}u)`;
  const multiply = range(depth / unit.k).map(
    (step) => `    if (busy) {
${range(rowUnits)
  .map((r) => `      let a${r} = ${load("left", "col_major", step * unit.k, `row0 + ${r * unit.m}u`, rows)};`)
  .join("\n")}
${range(columnUnits)
  .map((s) => `      let b${s} = ${load("right", "row_major", step * unit.k, `column0 + ${s * unit.n}u`, columns)};`)
  .join("\n")}
${results.map(([r, s]) => `      c${r}_${s} = subgroupMatrixMultiplyAccumulate(a${r}, b${s}, c${r}_${s});`).join("\n")}
    }`,
  );
  const area = unit.m * unit.n;
  const drain = results.map(
    ([r, s]) => `  if (busy) { subgroupMatrixStore<row_major>(&results, part_of * ${area}u, c${r}_${s}, ${unit.n}u); }
  workgroupBarrier();
  for (var e = lane; e < ${down * across * area}; e += ${threads}) {
    let i = i0 + e / ${area} / ${across} * ${rowUnits * unit.m} + ${r * unit.m} + e % ${area} / ${unit.n};
    let j = j0 + e / ${area} % ${across} * ${columnUnits * unit.n} + ${s * unit.n} + e % ${unit.n};
    ${storeInside(c, "i", "j", "results[e]")}
  }
  workgroupBarrier();`,
  );
  const body = `${tilePlace(rows, columns)}
  // Where subgroups are smaller than the largest, there are more of them than parts, and some only fetch.
  let busy = subgroup < ${down * across}u;
  let part_of = min(subgroup, ${down * across - 1}u);
  let row0 = part_of / ${across}u * ${rowUnits * unit.m}u;
  let column0 = part_of % ${across}u * ${columnUnits * unit.n}u;
${results.map(([r, s]) => `  var c${r}_${s}: ${kinds.result};`).join("\n")}
${left.before}
${right.before}
  for (var p0 = part * ${param(4)}; p0 < end; p0 += ${depth}) {
${left.fetch}
${right.fetch}
    workgroupBarrier();
${multiply.join("\n")}
    workgroupBarrier();
  }
${drain.join("\n")}`;
  const before = `var<workgroup> left_tile: array<${component}, ${rows * depth}>;
var<workgroup> right_tile: array<${component}, ${columns * depth}>;
var<workgroup> results: array<f32, ${down * across * area}>;
${functionsOf(c)}`;
  return { before, body, threads, subgroups: true, matrices: component };
}
