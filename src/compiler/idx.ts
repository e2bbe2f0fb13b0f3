import type { Atom, Expr, Idx, LoopVar, Term } from "./ir.ts";

export type { Atom, Idx, LoopVar, Term } from "./ir.ts";

const refs = new WeakMap<Expr, number>();
let lastRef = 0;

function atomKey(atom: Atom): string {
  switch (atom.kind) {
    case "var":
      return `v${atom.v.id}`;
    case "div":
      return `(${atom.of.key}/${atom.by})`;
    case "mod":
      return `(${atom.of.key}%${atom.by})`;
    case "ref": {
      let id = refs.get(atom.at);
      if (id === undefined) {
        id = ++lastRef;
        refs.set(atom.at, id);
      }
      return `r${id}:${atom.size}`;
    }
  }
}

function atomRange(atom: Atom): [number, number] {
  switch (atom.kind) {
    case "var":
      return [0, Math.max(0, atom.v.size - 1)];
    case "div":
      return [Math.floor(atom.of.lo / atom.by), Math.floor(atom.of.hi / atom.by)];
    case "mod":
      return [0, atom.by - 1];
    case "ref":
      return [0, Math.max(0, atom.size - 1)];
  }
}

function make(offset: number, terms: Term[]): Idx {
  let [lo, hi] = [offset, offset];
  for (const { atom, coef } of terms) {
    const [a, b] = atomRange(atom);
    lo += coef > 0 ? coef * a : coef * b;
    hi += coef > 0 ? coef * b : coef * a;
  }
  return { offset, terms, lo, hi, key: `${offset}${terms.map((t) => `+${t.coef}*${t.key}`).join("")}` };
}

export const literal = (n: number): Idx => make(n, []);
const zero = literal(0);

const ofAtom = (atom: Atom): Idx => make(0, [{ key: atomKey(atom), atom, coef: 1 }]);
export const ofVar = (v: LoopVar): Idx => (v.size <= 1 ? zero : ofAtom({ kind: "var", v }));
export const ofRef = (at: Expr, size: number): Idx => ofAtom({ kind: "ref", at, size });

export function addIdx(x: Idx, y: Idx): Idx {
  if (x.terms.length === 0 && x.offset === 0) return y;
  if (y.terms.length === 0 && y.offset === 0) return x;
  return linear(x.offset + y.offset, [...x.terms, ...y.terms]);
}

export function scaleIdx(x: Idx, k: number): Idx {
  if (k === 1) return x;
  if (k === 0) return zero;
  return make(
    x.offset * k,
    x.terms.map((t) => ({ ...t, coef: t.coef * k })),
  );
}

export const offsetIdx = (x: Idx, n: number): Idx => (n === 0 ? x : make(x.offset + n, [...x.terms]));

/** Collects equal atoms and rejoins a * s * div(x, s) + a * mod(x, s) to a * x. */
function linear(offset: number, terms: Term[]): Idx {
  const byKey = new Map<string, Term>();
  for (const t of terms) {
    const old = byKey.get(t.key);
    byKey.set(t.key, old ? { ...t, coef: old.coef + t.coef } : t);
  }
  for (const t of byKey.values()) {
    if (t.atom.kind !== "mod" || t.coef === 0) continue;
    const { of, by } = t.atom;
    const quotient = divIdx(of, by);
    if (quotient.terms.length !== 1 || quotient.offset !== 0 || quotient.terms[0].coef !== 1) continue;
    const partner = byKey.get(quotient.terms[0].key);
    if (partner && partner.coef === t.coef * by) {
      byKey.delete(t.key);
      byKey.delete(partner.key);
      return linear(offset + of.offset * t.coef, [...byKey.values(), ...scaleIdx(of, t.coef).terms]);
    }
  }
  const kept = [...byKey.values()].filter((t) => t.coef !== 0).sort((a, b) => (a.key < b.key ? -1 : 1));
  return make(offset, kept);
}

/** floor(x / by) for by > 0. */
export function divIdx(x: Idx, by: number): Idx {
  if (by === 1) return x;
  const rest = remainder(x, by);
  const whole = make(
    Math.floor(x.offset / by),
    x.terms.filter((t) => t.coef % by === 0).map((t) => ({ ...t, coef: t.coef / by })),
  );
  if (rest.lo >= 0 && rest.hi < by) return whole;
  const coarse = coarsened(rest, by);
  if (coarse) return addIdx(whole, divIdx(coarse.quotient, by / coarse.unit));
  const inner = rest.terms.length === 1 && rest.offset === 0 && rest.terms[0].coef === 1 ? rest.terms[0].atom : null;
  const quotient =
    inner?.kind === "div"
      ? ofAtom({ kind: "div", of: inner.of, by: inner.by * by })
      : ofAtom({ kind: "div", of: rest, by });
  return addIdx(whole, quotient);
}

/** x - by * floor(x / by). */
export function modIdx(x: Idx, by: number): Idx {
  if (by === 1) return zero;
  const rest = remainder(x, by);
  if (rest.lo >= 0 && rest.hi < by) return rest;
  const coarse = coarsened(rest, by);
  if (coarse) return addIdx(scaleIdx(modIdx(coarse.quotient, by / coarse.unit), coarse.unit), coarse.fine);
  const inner = rest.terms.length === 1 && rest.offset === 0 && rest.terms[0].coef === 1 ? rest.terms[0].atom : null;
  if (inner?.kind === "mod" && inner.by % by === 0) return modIdx(inner.of, by);
  return ofAtom({ kind: "mod", of: rest, by });
}

/**
 * x as unit * quotient + fine, where unit > 1 divides `by` and 0 <= fine < unit: then x / by is quotient / (by / unit).
 * This is what a position of merged axes looks like once it is taken apart again. Null where there is no such unit.
 */
function coarsened(x: Idx, by: number): { quotient: Idx; fine: Idx; unit: number } | null {
  const units = new Set(x.terms.map((t) => gcd(Math.abs(t.coef), by)));
  for (const unit of [...units].sort((a, b) => b - a)) {
    if (unit === 1) break;
    const whole = Math.floor(x.offset / unit);
    const fine = make(
      x.offset - whole * unit,
      x.terms.filter((t) => t.coef % unit !== 0),
    );
    if (fine.lo < 0 || fine.hi >= unit) continue;
    const multiples = x.terms.filter((t) => t.coef % unit === 0).map((t) => ({ ...t, coef: t.coef / unit }));
    return { quotient: make(whole, multiples), fine, unit };
  }
  return null;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** x without what `by` divides; congruent to x modulo `by`. */
const remainder = (x: Idx, by: number): Idx =>
  make(
    x.offset - by * Math.floor(x.offset / by),
    x.terms.filter((t) => t.coef % by !== 0),
  );

/** Row-major flat position. */
export function flatten(index: readonly Idx[], shape: readonly number[]): Idx {
  let flat = zero;
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1) flat = addIdx(flat, scaleIdx(index[i], stride));
    stride *= shape[i];
  }
  return flat;
}

/** The inverse of `flatten`. */
export function unflatten(flat: Idx, shape: readonly number[]): Idx[] {
  const index = new Array<Idx>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const q = divIdx(flat, stride);
    index[i] = shape[i] === 1 ? zero : q.lo >= 0 && q.hi < shape[i] ? q : modIdx(q, shape[i]);
    stride *= shape[i];
  }
  return index;
}

/** The coefficient of a loop variable, or null where the index depends on it other than linearly. */
export function coefOf(x: Idx, v: LoopVar): number | null {
  let coef = 0;
  for (const t of x.terms) {
    if (t.atom.kind === "var") {
      if (t.atom.v === v) coef += t.coef;
    } else if (atomUses(t.atom, v)) return null;
  }
  return coef;
}

function atomUses(atom: Atom, v: LoopVar): boolean {
  if (atom.kind === "var") return atom.v === v;
  if (atom.kind === "ref") return true; // what it loads may depend on anything
  return atom.of.terms.some((t) => atomUses(t.atom, v));
}

/** Rebuilds an index with `at` applied to loop variables and `through` to computed positions. */
export function mapIdx(x: Idx, at: (v: LoopVar) => Idx, through: (e: Expr) => Expr): Idx {
  let out = literal(x.offset);
  for (const { atom, coef } of x.terms) out = addIdx(out, scaleIdx(mapAtom(atom, at, through), coef));
  return out;
}

function mapAtom(atom: Atom, at: (v: LoopVar) => Idx, through: (e: Expr) => Expr): Idx {
  switch (atom.kind) {
    case "var":
      return at(atom.v);
    case "div":
      return divIdx(mapIdx(atom.of, at, through), atom.by);
    case "mod":
      return modIdx(mapIdx(atom.of, at, through), atom.by);
    case "ref":
      return ofRef(through(atom.at), atom.size);
  }
}
