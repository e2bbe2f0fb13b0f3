import type { Idx, Term } from "../../compiler/idx.ts";
import type { Expr } from "../../compiler/ir.ts";
import { add, extract, i32, op, select, type Value } from "./assembler.ts";
import type { Frame } from "./frame.ts";
import { fromFour } from "./lane-ops.ts";

/** The value of a computed position, one or in every lane, as i32. */
export interface PositionReader {
  one(e: Expr): Value;
  lanes(e: Expr): readonly Value[];
}

/** Computes indices. */
export class Positions {
  private readonly frame: Frame;
  private readonly values: PositionReader;

  constructor(frame: Frame, values: PositionReader) {
    this.frame = frame;
    this.values = values;
  }

  /** The index at the first lane. */
  index(x: Idx): Value {
    const { base, offset } = this.linear(x, 1, { key: "", value: null });
    return offset === 0
      ? base
      : this.frame.integer(this.frame.indexReach(x).level, `${x.key}`, () => add(base, this.frame.int(offset)));
  }

  /**
   * `from` + `scale` * index at the first lane, as a sum that grows from block to block, so that the innermost adds
   * only what changes there. The constant part of what lanes are ahead of their loop is `offset`.
   */
  linear(
    x: Idx,
    scale: number,
    from: { readonly key: string; readonly value: Value | null },
  ): { readonly base: Value; readonly offset: number } {
    const { frame } = this;
    const byLevel = new Map<number, (readonly [Term, () => Value])[]>();
    let offset = 0;
    for (const term of x.terms) {
      let { level } = frame.atomReach(term.atom);
      if (term.atom.kind === "var") {
        const binding = frame.binding(term.atom.v);
        level = binding.home;
        offset += binding.offset * term.coef * scale;
      }
      // Looked up here: where lanes are bound is not where their loop variable is.
      byLevel.set(level, [...(byLevel.get(level) ?? []), [term, this.term(term, scale)]]);
    }
    const constant = x.offset * scale;
    let key = `${from.key} ${scale}*:${constant}`;
    const start = [...(from.value ? [from.value] : []), ...(constant || !from.value ? [frame.int(constant)] : [])];
    let base = start.length === 1 ? start[0] : frame.integer(0, key, () => frame.sum(start));
    for (const level of [...byLevel.keys()].sort((a, b) => a - b)) {
      const terms = byLevel.get(level) as (readonly [Term, () => Value])[];
      key += terms.map(([t]) => `+${t.coef}*${t.key}`).join("");
      const before = base;
      base = frame.integer(level, key, () => frame.sum([...terms.map(([, value]) => value()), before]));
    }
    return { base, offset };
  }

  /** Writes a term, its first lane. */
  private term({ atom, coef }: Term, scale: number): () => Value {
    const { frame } = this;
    const factor = coef * scale;
    if (atom.kind === "var") {
      const { at, home } = frame.binding(atom.v);
      return () => (factor === 1 ? at : frame.integer(home, `v${atom.v.id}*${factor}`, () => frame.times(at, factor)));
    }
    if (atom.kind === "ref") return () => frame.times(this.clamped(this.values.one(atom.at), atom.size), factor);
    return () => frame.times(this.quotient(atom.kind, this.index(atom.of), atom.by, atom.of.lo), factor);
  }

  /** A computed position: counts from the end if negative, then clamped to [0, size). */
  private clamped(position: Value, size: number): Value {
    const { frame } = this;
    const { f } = frame;
    const at = f.let(position);
    const fromEnd = f.let(select(op("i32.lt_s", at, i32(0)), add(at, frame.int(size)), at));
    const low = f.let(select(op("i32.lt_s", fromEnd, i32(0)), i32(0), fromEnd));
    const last = frame.int(size - 1);
    return f.let(select(op("i32.lt_s", low, last), low, last));
  }

  /** Floor division by a literal, or its remainder. */
  private quotient(kind: "div" | "mod", x: Value, by: number, lowest: number): Value {
    const { f } = this.frame;
    if (lowest >= 0) return f.let(op(kind === "div" ? "i32.div_u" : "i32.rem_u", x, i32(by)));
    if (kind === "mod") {
      const rest = f.let(op("i32.rem_s", x, i32(by)));
      return f.let(select(op("i32.lt_s", rest, i32(0)), add(rest, i32(by)), rest));
    }
    const value = f.let(x);
    // Truncation is floor division for what is not negative: moved up by whole divisors.
    const shift = Math.ceil(-lowest / by);
    return f.let(op("i32.sub", op("i32.div_u", add(value, i32(shift * by)), i32(by)), i32(shift)));
  }

  /** Step of an index from lane to lane, null where it is none. */
  step(x: Idx): number | null {
    let step = 0;
    for (const { atom, coef } of x.terms) {
      if (!this.frame.atomReach(atom).isLanes) continue;
      if (atom.kind !== "var") return null;
      step += coef;
    }
    return step;
  }

  /** The index in every lane, as i32x4. */
  lanes(x: Idx): Value {
    const { frame } = this;
    const { f } = frame;
    const step = this.step(x);
    if (step !== null) {
      const first = op("i32x4.splat", this.index(x));
      const ahead =
        step === 1 ? frame.laneNumbers() : op("i32x4.mul", frame.laneNumbers(), op("i32x4.splat", frame.int(step)));
      return f.let(step === 0 ? first : op("i32x4.add", first, ahead));
    }
    const fixed = x.terms.filter(({ atom }) => !frame.atomReach(atom).isLanes);
    const parts = fixed.map((t) => this.term(t, 1)());
    const sum = f.let(op("i32x4.splat", frame.sum([...parts, frame.int(x.offset)])));
    for (const { atom, coef } of x.terms) {
      if (!frame.atomReach(atom).isLanes) continue;
      const value = this.atomLanes(atom);
      const scaled = coef === 1 ? value : op("i32x4.mul", value, op("i32x4.splat", frame.int(coef)));
      f.set(sum, op("i32x4.add", sum, scaled));
    }
    return sum;
  }

  private atomLanes(atom: Term["atom"]): Value {
    const { frame } = this;
    const { f } = frame;
    switch (atom.kind) {
      case "var": {
        const { at, offset } = frame.binding(atom.v);
        return op("i32x4.add", op("i32x4.splat", add(at, offset)), frame.laneNumbers());
      }
      case "ref": {
        const [at] = this.values.lanes(atom.at);
        const zero = frame.i32x4(0);
        const size = op("i32x4.splat", frame.int(atom.size));
        const fromEnd = op("i32x4.add", at, op("v128.and", op("i32x4.lt_s", at, zero), size));
        const last = op("i32x4.splat", frame.int(atom.size - 1));
        return f.let(op("i32x4.min_s", op("i32x4.max_s", fromEnd, zero), last));
      }
      default: {
        const of = f.let(this.lanes(atom.of));
        const four = [0, 1, 2, 3].map((lane) =>
          this.quotient(atom.kind, f.let(extract("i32x4", of, lane)), atom.by, atom.of.lo),
        );
        return f.let(fromFour(four, "i32")[0]);
      }
    }
  }
}
