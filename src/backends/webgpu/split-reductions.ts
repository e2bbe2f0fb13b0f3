import { type Expr, type Reduce, rewriter, walk } from "../../compiler/expr.ts";
import { addIdx, flatten, type LoopVar, ofVar, scaleIdx } from "../../compiler/idx.ts";
import type { Buffer, Instruction, KernelInstruction } from "../../compiler/instruction.ts";
import { type Kernel, newVar, type Store } from "../../compiler/kernel.ts";
import { withStores } from "../../compiler/merge.ts";
import { topReductions } from "../../compiler/reductions.ts";
import { computeDType } from "../../core/dtype.ts";
import { isArg } from "./wgsl/reduce.ts";

/** Workgroups that keep a device busy, and terms that are work for several. */
const [enoughGroups, manyTerms] = [128, 1 << 14];

const count = (axes: readonly LoopVar[]): number => axes.reduce((n, v) => n * v.size, 1);

/**
 * Takes long reductions to few results, such as the sum of a loss or the norm of all gradients, in two: a workgroup for
 * each result would leave most of the device without work. Parts of the terms are reduced first, then their results.
 */
export function splitReductions(instructions: readonly Instruction[]): Instruction[] {
  return instructions.flatMap((i): Instruction[] => {
    if (i.kind === "loop") return [{ ...i, body: splitReductions(i.body) }];
    return i.kind === "kernel" ? splitKernel(i) : [i];
  });
}

function splitKernel(instruction: KernelInstruction): KernelInstruction[] {
  const { kernel } = instruction;
  const rows = count(kernel.axes);
  const group = onlyReductions(kernel);
  if (!group || rows >= enoughGroups || count(group[0].axes) < manyTerms) return [instruction];
  const cut = cutOf(group[0].axes, Math.ceil(enoughGroups / rows));
  if (!cut) return [instruction];
  const part = newVar(cut.parts);
  const rest = newVar(cut.axis.size / cut.parts);
  const row = flatten(
    kernel.axes.map(ofVar),
    kernel.axes.map((v) => v.size),
  );
  // Parts of a sum to 16 bits are f32: it is rounded once it is complete.
  const dtypes = group.map(({ dtype }) => computeDType(dtype));
  const scratch = dtypes.map((dtype): Buffer => ({ size: rows * cut.parts, dtype, place: { kind: "temp" } }));
  const first = kernel.buffers.length;
  const buffers = [...instruction.buffers, ...scratch];
  const kinds = (written: boolean) => [...kernel.buffers, ...scratch.map(({ dtype }) => ({ dtype, written }))];
  const place = (v: LoopVar) => addIdx(scaleIdx(row, cut.parts), ofVar(v));

  const whole = addIdx(scaleIdx(ofVar(part), rest.size), ofVar(rest));
  const parts = rewriter({
    variable: (v) => (v === cut.axis ? whole : ofVar(v)),
    axes: (axes) => axes.map((v) => (v === cut.axis ? rest : v)),
  });
  const partStores = group.map((r, i): Store => {
    return { buffer: first + i, index: place(part), value: parts.expr({ ...r, dtype: dtypes[i] }) };
  });
  const again = newVar(cut.parts);
  const results = new Map<Expr, Expr>(
    group.map((r, i) => {
      const body: Expr = { op: "load", buffer: first + i, index: place(again), dtype: dtypes[i] };
      return [r, { ...r, axes: [again], body }];
    }),
  );
  const stores = kernel.stores.map((s): Store => ({ ...s, value: replace(s.value, results) }));
  const made = (k: Kernel) => withStores({ kind: "kernel", kernel: k, buffers }, k.stores);
  return [
    made({ axes: [...kernel.axes, part], buffers: kinds(true), stores: partStores }),
    made({ axes: kernel.axes, buffers: kinds(false), stores }),
  ];
}

/** The reductions of a kernel if there is one loop over their terms and nothing else is reduced; else null. */
function onlyReductions({ stores }: Kernel): readonly Reduce[] | null {
  if (stores[0].inner) return null;
  const groups = topReductions(stores);
  if (groups.length !== 1 || groups[0].some(isArg)) return null;
  const all = new Set<Reduce>();
  for (const { value } of stores)
    walk(value, (e) => {
      if (e.op === "reduce") all.add(e);
    });
  return all.size === groups[0].length ? groups[0] : null;
}

/** The axis to cut and into how many equal parts: as many as asked for, if it can be. */
function cutOf(axes: readonly LoopVar[], most: number): { readonly axis: LoopVar; readonly parts: number } | null {
  const cuts = axes.map((axis) => {
    let parts = Math.min(most, axis.size);
    while (axis.size % parts) parts--;
    return { axis, parts };
  });
  const best = cuts.reduce((a, b) => (b.parts > a.parts ? b : a));
  return best.parts >= 4 ? best : null;
}

/** An expression with some sub-expressions in place of others. */
function replace(root: Expr, by: ReadonlyMap<Expr, Expr>): Expr {
  const memo = new Map<Expr, Expr>(by);
  const go = (e: Expr): Expr => {
    let out = memo.get(e);
    if (!out) {
      out = inside(e);
      memo.set(e, out);
    }
    return out;
  };
  const inside = (e: Expr): Expr => {
    switch (e.op) {
      case "call":
        return { ...e, args: e.args.map(go) };
      case "guard":
        return { ...e, value: go(e.value), other: go(e.other) };
      case "random":
        return { ...e, state: e.state.map(go) };
      default:
        return e;
    }
  };
  return go(root);
}
