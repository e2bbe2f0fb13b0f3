import { type Expr, walk } from "../../compiler/expr.ts";
import type { Buffer, Instruction, KernelInstruction } from "../../compiler/instruction.ts";
import type { Store } from "../../compiler/kernel.ts";
import { withStores } from "../../compiler/merge.ts";
import { reads, root, writes } from "../../compiler/updates.ts";
import { isHalf } from "../../core/dtype.ts";
import { isProduct } from "./ops/index.ts";

/**
 * Has products read 16-bit floats: the compiler widens their operands into f32 temporaries
 * (docs/design/0002-half-precision.md), but here they widen what they read, and know by the dtype what to multiply. Such a
 * temporary takes 16 bits, or none where it is a copy of what lies elsewhere.
 */
export function readHalves(instructions: readonly Instruction[]): Instruction[] {
  const all = flatten(instructions);
  const instead = new Map<Buffer, Buffer>();
  const copied = new Set<Buffer>();
  const visit = (list: readonly Instruction[]) => {
    for (const [at, i] of list.entries()) {
      if (i.kind === "loop") visit(i.body);
      if (i.kind !== "kernel") continue;
      for (const store of i.kernel.stores) {
        const to = i.buffers[store.buffer];
        // What lives for one row has no buffer.
        const value = store.buffer < i.buffers.length ? widenedValue(store) : null;
        if (!value || !isForProducts(all, to) || !isWrittenOnce(all, i, store)) continue;
        const from = sourceOf(i, store, value);
        const isCopy = from !== null && !store.inner && !changesBefore(list, at, to, from);
        if (isCopy) copied.add(to);
        instead.set(to, isCopy ? from : { ...to, dtype: value.dtype });
      }
    }
  };
  visit(instructions);
  if (instead.size === 0) return [...instructions];

  const rebuild = (list: readonly Instruction[]): Instruction[] =>
    list.flatMap((i): Instruction[] => {
      if (i.kind === "loop") return [{ ...i, body: rebuild(i.body) }];
      if (i.kind === "kernel") return narrowed(i, instead, copied);
      return i.kind === "op" ? [{ ...i, buffers: i.buffers.map((b) => instead.get(b) ?? b) }] : [i];
    });
  return rebuild(instructions);
}

const flatten = (instructions: readonly Instruction[]): Exclude<Instruction, { kind: "loop" }>[] =>
  instructions.flatMap((i) => (i.kind === "loop" ? flatten(i.body) : [i]));

/** The value of 16 bits that a store widens to f32, or null. */
function widenedValue({ value }: Store): Expr | null {
  if (value.op !== "call" || value.name !== "cast" || value.dtype !== "f32") return null;
  return isHalf(value.args[0].dtype) ? value.args[0] : null;
}

type Flat = ReturnType<typeof flatten>;

/** Whether a buffer is a temporary that only products read, and all of it. */
function isForProducts(all: Flat, buffer: Buffer): boolean {
  const users = all.filter((i) => reads(i).includes(buffer));
  const isUse = (i: Flat[number]) => i.kind === "op" && isProduct(i) && !i.epilogue && i.buffers.includes(buffer);
  return buffer.place.kind === "temp" && users.length > 0 && users.every(isUse);
}

/** Whether this store is all that writes its buffer, and nothing in its kernel reads that. */
function isWrittenOnce(all: Flat, { kernel, buffers }: KernelInstruction, { buffer }: Store): boolean {
  const to = buffers[buffer];
  let isRead = false;
  for (const { value } of kernel.stores)
    walk(value, (e) => {
      if (e.op === "load" && e.buffer === buffer) isRead = true;
    });
  const stores = kernel.stores.filter((s) => s.buffer === buffer);
  return !isRead && stores.length === 1 && all.filter((i) => writes(i).includes(to)).length === 1;
}

/** The buffer that a store copies from end to end, or null. */
function sourceOf({ buffers }: KernelInstruction, { buffer, index }: Store, value: Expr): Buffer | null {
  if (value.op !== "load" || value.index.key !== index.key) return null;
  const from = buffers[value.buffer];
  return from && from.size === buffers[buffer].size ? from : null;
}

/** Whether `from` may be written between the instruction `at` and the last one that reads its copy `to`. */
function changesBefore(list: readonly Instruction[], at: number, to: Buffer, from: Buffer): boolean {
  const users = list.flatMap((i, k) => (reads(i).includes(to) ? [k] : []));
  if (users.length === 0 || users[0] <= at) return true;
  return list.slice(at + 1, users[users.length - 1] + 1).some((i) => writes(i).includes(root(from)));
}

/** A kernel that stores 16 bits where it widened, and nothing that is only a copy. */
function narrowed(
  i: KernelInstruction,
  instead: ReadonlyMap<Buffer, Buffer>,
  copied: ReadonlySet<Buffer>,
): KernelInstruction[] {
  const { kernel, buffers } = i;
  if (!kernel.stores.some((s) => instead.has(buffers[s.buffer]))) return [i];
  const stores = kernel.stores.flatMap((s): Store[] => {
    const to = buffers[s.buffer];
    if (copied.has(to)) return [];
    return [instead.has(to) ? { ...s, value: widenedValue(s) as Expr } : s];
  });
  if (stores.length === 0) return [];
  const kinds = kernel.buffers.map((kind, b) => ({ ...kind, dtype: instead.get(buffers[b])?.dtype ?? kind.dtype }));
  const made: KernelInstruction = {
    kind: "kernel",
    kernel: { ...kernel, buffers: kinds, stores },
    buffers: buffers.map((b) => instead.get(b) ?? b),
  };
  return [stores.length < kernel.stores.length ? withStores(made, stores) : made];
}
