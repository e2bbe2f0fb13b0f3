import assert from "node:assert/strict";
import type { Backend } from "../../src/backends/backend.ts";
import { nativeBackend } from "../../src/backends/native/index.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { wasmBackend } from "../../src/backends/wasm/index.ts";
import { type DType, loadValues, type TypedArray } from "../../src/core/dtype.ts";
import { showShape } from "../../src/core/errors.ts";
import { type Node, reachable } from "../../src/graph/node.ts";
import { printGraph } from "../../src/graph/print.ts";

/** What a backend must compute as the reference does. */
export interface ConformanceCase {
  readonly name: string;
  /** Leaves are `data`, so that the graph runs without inputs. */
  readonly outputs: readonly Node[];
  /** The magnitude that errors are relative to, where an output's largest is less: what it was computed from. */
  readonly scale?: number;
}

/** Every backend that works on this machine, but for the reference. */
export function backendsUnderTest(): Backend[] {
  const native = nativeBackend();
  return [...(native ? [native] : []), wasmBackend()];
}

/** Whether a backend computes in every dtype of a case. */
const isPossible = (backend: Backend, { outputs }: ConformanceCase): boolean =>
  reachable(outputs).every(({ dtype }) => backend.dtypes.has(dtype));

/**
 * Allowed error relative to the largest magnitude of an output; integers must be equal. That of the 16-bit floats is one
 * unit in the last place: every operation is computed in f32 and rounded, so results differ only where those in f32
 * differ and lie on both sides of the middle between two values.
 */
const tolerances: Partial<Record<DType, number>> = { f32: 1e-5, f64: 1e-11, f16: 2 ** -10, bf16: 2 ** -7 };

/**
 * Runs all cases that the backend has the dtypes for as one program, since each native program costs a call of the C compiler, and compares them with the
 * reference. The error lists every case that differs, and the graph of the first.
 */
export function assertConforms(backend: Backend, all: readonly ConformanceCase[]): void {
  const cases = all.filter((c) => isPossible(backend, c));
  assert.ok(cases.length > 0, `${backend.name} computes in the dtypes of none of the cases`);
  const want = run(reference, cases);
  const got = run(backend, cases);
  const wrong = cases.flatMap((c, i) => {
    const difference = firstDifference(c, got[i], want[i]);
    return difference ? [{ c, difference }] : [];
  });
  if (wrong.length === 0) return;
  const [{ c }] = wrong;
  const list = wrong.map(({ c, difference }) => `  ${c.name}: ${difference}`).join("\n");
  const alone = firstDifference(c, run(backend, [c])[0], run(reference, [c])[0]);
  assert.fail(
    `${backend.name} differs from the reference in ${wrong.length} of ${cases.length} cases:\n${list}\n` +
      `${c.name} ${alone ? `differs on its own too: ${alone}` : "is right on its own"}\n` +
      printGraph({ inputs: [], outputs: c.outputs, updates: [] }),
  );
}

function run(backend: Backend, cases: readonly ConformanceCase[]): TypedArray[][] {
  const outputs = cases.flatMap((c) => c.outputs);
  const values = backend.compile({ inputs: [], outputs, updates: [] }).run([]);
  let next = 0;
  return cases.map((c) => c.outputs.map(({ dtype }) => loadValues(values[next++], dtype)));
}

function firstDifference(c: ConformanceCase, got: readonly TypedArray[], want: readonly TypedArray[]): string | null {
  for (const [k, node] of c.outputs.entries()) {
    const at = worst(got[k], want[k], tolerances[node.dtype] ?? 0, c.scale ?? 0);
    if (at !== null)
      return `output ${k} ${node.dtype}${showShape(node.shape)} [${at}] is ${got[k][at]}, the reference gives ${want[k][at]}`;
  }
  return null;
}

/** Position of the largest error if that is more than `allowed` times the largest finite magnitude, else null. */
function worst(got: TypedArray, want: TypedArray, allowed: number, scale: number): number | null {
  for (const v of want) if (Number.isFinite(v)) scale = Math.max(scale, Math.abs(v));
  let [at, error] = [-1, allowed * scale];
  for (let i = 0; i < want.length; i++) {
    if (got[i] === want[i] || (Number.isNaN(got[i]) && Number.isNaN(want[i]))) continue;
    const difference = Math.abs(got[i] - want[i]);
    if (difference <= error) continue;
    [at, error] = [i, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference];
  }
  return at < 0 ? null : at;
}
