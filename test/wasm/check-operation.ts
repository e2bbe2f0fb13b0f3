import assert from "node:assert/strict";
import type { Call } from "../../src/backends/wasm/call.ts";
import { operationCalls, packedSize } from "../../src/backends/wasm/ops/index.ts";
import { packBeforeLoops } from "../../src/compiler/hoist.ts";
import type { Buffer, OpInstruction } from "../../src/compiler/instruction.ts";
import { operands, operation } from "../../src/compiler/operation.ts";
import { type DType, filledArray, isFloat, storeValues, type TypedArray } from "../../src/core/dtype.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { uniform } from "../support/check-grads.ts";
import { evaluate, leaf } from "../support/evaluate.ts";
import { callRunner } from "./run-calls.ts";

/** A leaf of random values: integers of both signs where the dtype has them. */
export function random(dtype: DType, shape: Shape, seed: number): Node {
  const values = uniform(sizeOf(shape), seed);
  if (isFloat(dtype)) return leaf(dtype, shape, values);
  return leaf(
    dtype,
    shape,
    values.map((v) => (dtype === "bool" ? Number(v > -0.5) : Math.round(v * 90))),
  );
}

/** The operation in two, as in a loop that does not change its second operand: its packing, and the rest. */
export const packedApart = (op: OpInstruction): OpInstruction[] =>
  packBeforeLoops([{ kind: "loop", count: 1, body: [op] }], packedSize).flatMap(
    (i) => (i.kind === "loop" ? i.body : [i]) as OpInstruction[],
  );

const allowed: Partial<Record<DType, number>> = { f32: 2e-5, f64: 1e-12 };

/**
 * Compares the operation that computes `node` with the reference, relative to the largest value of the result, and its
 * results with each other when its items are cut in other ways. `callsOf` makes passes of the operation.
 */
export function checkOperation(
  node: Node,
  what: string,
  callsOf: (op: OpInstruction) => readonly Call[] = operationCalls,
): void {
  const contents = new Map<Buffer, TypedArray>();
  const buffers = new Map<Node, Buffer>();
  const place = { kind: "temp" } as const;
  for (const base of operands(node)) {
    if (buffers.has(base)) continue;
    const buffer: Buffer = { size: sizeOf(base.shape), dtype: base.dtype, place };
    buffers.set(base, buffer);
    contents.set(buffer, storeValues(evaluate(base), base.dtype));
  }
  const target: Buffer = { size: sizeOf(node.shape), dtype: node.dtype, place };
  contents.set(target, filledArray(target.size, node.dtype, 77));
  const calls = callsOf(operation(node, target, (base) => buffers.get(base) as Buffer));
  for (const { buffer } of calls.flatMap(({ buffers }) => buffers))
    if (!contents.has(buffer)) contents.set(buffer, filledArray(buffer.size, buffer.dtype, 77));
  const runner = callRunner(calls, contents);

  runner.run(1);
  const got = runner.read(target);
  const want = evaluate(node);
  let largest = 0;
  for (const v of want) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
  const tolerance = (allowed[node.dtype] ?? 0) * largest;
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance) continue;
    assert.fail(`${what}: element ${i} of [${node.shape}] is ${got[i]}, the reference gives ${want[i]}`);
  }
  for (const chunks of [2, 5]) {
    runner.run(chunks);
    assert.deepEqual(runner.read(target), got, `${what}: another result with the items in ${chunks} runs`);
  }
}
