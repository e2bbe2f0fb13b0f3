import type { DType } from "../core/dtype.ts";

/** A loop variable, 0 <= v < size. */
export interface LoopVar {
  readonly id: number;
  readonly size: number;
}

/** What an index is linear in. */
export type Atom =
  | { readonly kind: "var"; readonly v: LoopVar }
  | { readonly kind: "div"; readonly of: Idx; readonly by: number }
  | { readonly kind: "mod"; readonly of: Idx; readonly by: number }
  /** A computed position: counts from the end if negative, then clamped to [0, size). */
  | { readonly kind: "ref"; readonly at: Expr; readonly size: number };

export interface Term {
  readonly key: string;
  readonly atom: Atom;
  readonly coef: number;
}

/** An integer expression in normal form: offset + sum of coef * atom, terms ordered by key, no coef 0. */
export interface Idx {
  readonly offset: number;
  readonly terms: readonly Term[];
  readonly lo: number;
  readonly hi: number;
  readonly key: string;
}

export type ReduceKind = "sum" | "prod" | "max" | "min" | "argmax" | "argmin";

/** lo <= index < hi. */
export interface Test {
  readonly index: Idx;
  readonly lo: number;
  readonly hi: number;
}

/** The value of a kernel at one position. */
export type Expr =
  | { readonly op: "const"; readonly value: number; readonly dtype: DType }
  /** Element `index` of the kernel's buffer number `buffer`. */
  | { readonly op: "load"; readonly buffer: number; readonly index: Idx; readonly dtype: DType }
  | { readonly op: "index"; readonly index: Idx; readonly dtype: DType }
  /** An elementwise primitive by name. */
  | { readonly op: "call"; readonly name: string; readonly args: readonly Expr[]; readonly dtype: DType }
  | {
      readonly op: "guard";
      readonly tests: readonly Test[];
      readonly value: Expr;
      readonly other: Expr;
      readonly dtype: DType;
    }
  | {
      readonly op: "reduce";
      readonly kind: ReduceKind;
      readonly axes: readonly LoopVar[];
      readonly body: Expr;
      readonly dtype: DType;
    }
  /** Threefry word 0 of counter (index, state[2]) under key (state[0], state[1]). */
  | { readonly op: "random"; readonly state: readonly Expr[]; readonly index: Idx; readonly dtype: DType };
