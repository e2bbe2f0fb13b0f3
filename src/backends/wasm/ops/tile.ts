import {
  add,
  type Callee,
  eq,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  type ModuleBuilder,
  mul,
  op,
  type Value,
} from "../assembler.ts";
import { multiplyAdd, type Real, tileColumns, tileRows } from "./real.ts";

/**
 * The tile that every product ends in: up to `tileRows` x two vectors of C in registers, C (+)= A B over `depth` steps.
 * Products differ in where a step finds its operands (addresses and strides in bytes):
 *   A packed   [depth][rows], written by the packers
 *   A strided  element (i, k) at a + i * aRow + k * aStep: a matrix as it lies in memory
 *   A indexed  element (i, k) at a + aOffsets[i] + aIndex[k]: taps of an image, for the gradient of the weights
 *   B packed   [depth][columns of a tile]
 *   B strided  row k at b + k * bStep
 *   B indexed  row k at b + bIndex[k], and at b1 + bIndex[k] for the right vector: taps of an image
 * Row i of C lies at c + i * cStep; B indexed has a c1 for the right vector.
 */
export type TileKind = "packed packed" | "strided strided" | "packed indexed" | "indexed packed";

const operandNames = {
  "packed packed": ["a", "b", "c"],
  "strided strided": ["a", "aRow", "aStep", "b", "bStep", "c"],
  "packed indexed": ["a", "b", "b1", "bIndex", "c", "c1"],
  "indexed packed": ["a", "aOffsets", "aIndex", "b", "c"],
} as const satisfies Record<TileKind, readonly string[]>;

type Name<K extends TileKind> = (typeof operandNames)[K][number] | "cStep" | "depth" | "accumulate";
export type TileOperands<K extends TileKind> = Readonly<Record<Name<K>, Value>>;

const namesOf = (kind: TileKind): readonly string[] => [...operandNames[kind], "cStep", "depth", "accumulate"];

/** How a body of fixed size reads its operands at the current step, and goes to the next one. */
interface Walk {
  begin(): void;
  a(row: number): Value;
  b(vector: number): Value;
  next(): void;
}

function walkA(
  f: FunctionBuilder,
  real: Real,
  kind: TileKind,
  rows: number,
  p: Record<string, Local>,
): Omit<Walk, "b"> {
  const splat = (address: Value, offset = 0) => load(real.splat, address, offset);
  const each = <T>(make: (row: number) => T) => Array.from({ length: rows }, (_, row) => make(row));
  const nothing = () => {};
  switch (kind) {
    case "packed packed":
    case "packed indexed":
      return {
        begin: nothing,
        a: (row) => splat(p.a, row * real.bytes),
        next: () => f.set(p.a, add(p.a, rows * real.bytes)),
      };
    case "strided strided": {
      const at = f.local("i32");
      const base = each((row) => (row === 0 ? p.a : f.let(add(p.a, mul(p.aRow, row)))));
      return {
        begin: nothing,
        a: (row) => splat(add(base[row], at)),
        next: () => f.set(at, add(at, p.aStep)),
      };
    }
    case "indexed packed": {
      const at = f.local("i32");
      const base = each((row) => f.let(add(p.a, load("i32.load", p.aOffsets, 4 * row))));
      return {
        begin: () => f.set(at, load("i32.load", p.aIndex)),
        a: (row) => splat(add(base[row], at)),
        next: () => f.set(p.aIndex, add(p.aIndex, 4)),
      };
    }
  }
}

function walkB(f: FunctionBuilder, real: Real, kind: TileKind, p: Record<string, Local>): Omit<Walk, "a"> {
  if (kind === "packed indexed") {
    const at = f.local("i32");
    return {
      begin: () => f.set(at, load("i32.load", p.bIndex)),
      b: (vector) => load("v128.load", add(vector === 0 ? p.b : p.b1, at)),
      next: () => f.set(p.bIndex, add(p.bIndex, 4)),
    };
  }
  const step = kind === "strided strided" ? p.bStep : tileColumns(real) * real.bytes;
  return {
    begin: () => {},
    b: (vector) => load("v128.load", p.b, 16 * vector),
    next: () => f.set(p.b, add(p.b, step)),
  };
}

/** A tile of a fixed number of rows and vectors. */
function fixedTile(module: ModuleBuilder, real: Real, kind: TileKind, rows: number, vectors: number): Callee {
  const names = namesOf(kind);
  return module.once(`tile ${real.name} ${kind} ${rows}x${vectors}`, () =>
    module.function(
      null,
      names.map(() => "i32"),
      null,
      (f, ...params) => {
        const p = Object.fromEntries(names.map((name, i) => [name, params[i]]));
        const a = walkA(f, real, kind, rows, p);
        const b = walkB(f, real, kind, p);
        const sums = Array.from({ length: rows }, () => Array.from({ length: vectors }, () => f.local("v128")));
        const right = Array.from({ length: vectors }, () => f.local("v128"));
        const left = f.local("v128");
        f.range(0, p.depth, 1, () => {
          a.begin();
          b.begin();
          right.forEach((vector, j) => {
            f.set(vector, b.b(j));
          });
          sums.forEach((row, i) => {
            f.set(left, a.a(i));
            row.forEach((sum, j) => {
              f.set(sum, multiplyAdd(real, left, right[j], sum));
            });
          });
          a.next();
          b.next();
        });
        const places = kind === "packed indexed" ? [p.c, p.c1] : [p.c];
        const write = (value: (sum: Local, to: Local, offset: number) => Value) =>
          sums.forEach((row, i) => {
            row.forEach((sum, j) => {
              const [to, offset] = places.length > 1 ? [places[j], 0] : [p.c, 16 * j];
              f.store("v128.store", to, value(sum, to, offset), offset);
            });
            if (i + 1 < rows) for (const place of places) f.set(place, add(place, p.cStep));
          });
        f.if(
          p.accumulate,
          () => write((sum, to, offset) => op(`${real.shape}.add`, load("v128.load", to, offset), sum)),
          () => write((sum) => sum),
        );
        return undefined;
      },
    ),
  );
}

/** Picks the tile for a number of rows, and of vectors, that is known only when it runs. */
function anyTile(module: ModuleBuilder, real: Real, kind: TileKind): Callee {
  const types = [...namesOf(kind), "rows", "vectors"].map(() => "i32" as const);
  return module.once(`tile ${real.name} ${kind}`, () =>
    module.function(null, types, null, (f, ...params) => {
      const [rows, vectors] = params.slice(-2);
      for (let r = tileRows; r >= 1; r--)
        f.if(eq(rows, r), () => {
          const run = (v: number) => f.call(fixedTile(module, real, kind, r, v), ...params.slice(0, -2));
          f.if(
            eq(vectors, 2),
            () => run(2),
            () => run(1),
          );
          f.return();
        });
      return undefined;
    }),
  );
}

/** Computes `rows` x `columns` of a tile into C; what it writes beyond `columns` lies in the last vector. */
export function runTile<K extends TileKind>(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  kind: K,
  operands: TileOperands<K>,
  rows: Value,
  columns: Value,
): void {
  const known = operands as Readonly<Record<string, Value>>;
  const args = namesOf(kind).map((name) => known[name]);
  const wide = op("i32.gt_s", columns, i32(real.lanes));
  f.if(
    op("i32.and", eq(rows, tileRows), wide),
    () => f.call(fixedTile(module, real, kind, tileRows, 2), ...args),
    () => f.call(anyTile(module, real, kind), ...args, rows, add(wide, 1)),
  );
}

/** Bytes of a tile that stands aside: [rows][columns of a tile]. */
export const asideBytes = (real: Real): number => tileRows * tileColumns(real) * real.bytes;

/** The same where C ends after `columns`: a tile at the edge is computed into `aside` and only then stored. */
export function runEdgeTile<K extends Exclude<TileKind, "packed indexed">>(
  f: FunctionBuilder,
  module: ModuleBuilder,
  real: Real,
  kind: K,
  operands: TileOperands<K>,
  rows: Value,
  columns: Value,
  aside: Value,
): void {
  const { c, cStep, accumulate } = operands as Readonly<Record<string, Value>>;
  f.if(
    eq(columns, tileColumns(real)),
    () => runTile(f, module, real, kind, operands, rows, columns),
    () => {
      const moved = { ...operands, c: aside, cStep: i32(tileColumns(real) * real.bytes), accumulate: i32(0) };
      runTile(f, module, real, kind, moved, rows, columns);
      f.call(storeEdge(module, real), aside, c, cStep, rows, columns, accumulate);
    },
  );
}

/** (aside, c, cStep, rows, columns, accumulate): C (+)= the first columns of a tile that stands aside. */
function storeEdge(module: ModuleBuilder, real: Real): Callee {
  return module.once(`store edge ${real.name}`, () =>
    module.function(
      null,
      ["i32", "i32", "i32", "i32", "i32", "i32"],
      null,
      (f, aside, c, cStep, rows, columns, accumulate) => {
        const store = `${real.name}.store`;
        f.range(0, rows, 1, () => {
          f.range(0, columns, 1, (j) => {
            const at = mul(j, real.bytes);
            const [from, to] = [f.let(add(aside, at)), f.let(add(c, at))];
            const value = f.let(load(`${real.name}.load`, from));
            f.if(accumulate, () => f.set(value, op(`${real.name}.add`, load(`${real.name}.load`, to), value)));
            f.store(store, to, value);
          });
          f.set(aside, add(aside, tileColumns(real) * real.bytes));
          f.set(c, add(c, cStep));
        });
        return undefined;
      },
    ),
  );
}
