import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { arrayType, type DType } from "../../src/core/dtype.ts";
import { ShapeError } from "../../src/core/errors.ts";
import { sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import * as b from "../../src/primitives/broadcast.ts";
import * as c from "../../src/primitives/contract.ts";
import * as control from "../../src/primitives/control.ts";
import * as e from "../../src/primitives/elementwise.ts";
import * as ix from "../../src/primitives/indexing.ts";
import * as l from "../../src/primitives/leaf.ts";
import * as m from "../../src/primitives/movement.ts";
import * as r from "../../src/primitives/reduce.ts";

const of =
  (dtype: DType) =>
  (...shape: number[]) =>
    l.input({ shape, dtype });
const f32 = of("f32");
const f64 = of("f64");
const i32 = of("i32");
const u32 = of("u32");
const bool = of("bool");

const conv: c.ConvAttrs = { stride: [1], padding: [[0, 0]], dilation: [1], groups: 1 };
const body = { inputs: [f32(2), f32(3), f32()], outputs: [f32(2), f32(3)] };
const loop: control.ScanAttrs = { body, length: 4, carries: 1, sequences: 1, reverse: false };
const window = { axis: 1, size: 3, stride: 2, dilation: 2 };
const one = { starts: [0, 0], sizes: [1, 1], steps: [1, 1] };

/** Each call with all that its error must name. */
const mistakes: Record<string, readonly (readonly [make: () => Node, ...named: string[]])[]> = {
  "dtypes of elementwise operations": [
    [() => e.exp(i32(2)), "exp", "floats", "i32", "cast"],
    [() => e.neg(bool(2)), "neg", "numbers", "bool"],
    [() => e.not(i32(2)), "not", "bool", "i32"],
    [() => e.add(f32(2), f64(2)), "add", "f32", "f64", "differ"],
    [() => e.add(bool(2), bool(2)), "add", "numbers", "bool"],
    [() => e.pow(bool(2), bool(2)), "pow", "numbers", "bool"],
    [() => e.and(f32(2), f32(2)), "and", "integers or bool", "f32"],
    [() => e.where(i32(2), f32(2), f32(2)), "where", "condition", "bool", "i32"],
    [() => e.where(bool(2), f32(2), i32(2)), "where", "f32", "i32", "differ"],
  ],
  "shapes of elementwise operations": [
    [() => e.mul(f32(2, 3), f32(3)), "mul", "[2,3]", "[3]", "differ"],
    [() => e.lt(f32(2), f32()), "lt", "[2]", "[]"],
    [() => e.where(bool(2), f32(2), f32(3)), "where", "[2]", "[3]"],
  ],
  reductions: [
    [() => b.sum(bool(2), [0]), "sum", "numbers", "bool", "i32"],
    [() => r.prod(bool(2), [0]), "prod", "numbers", "bool"],
    [() => r.max(f32(2, 0), [1]), "max", "[2,0]", "[1]", "empty"],
    [() => r.argmin(f32(0), [0]), "argmin", "[0]", "empty"],
    [() => r.cumsum(bool(2), { axis: 0, reverse: false, exclusive: false }), "cumsum", "numbers", "bool"],
  ],
  movement: [
    [() => b.reshape(f32(2, 3), [4]), "reshape", "[2,3]", "6 elements", "[4]", "4"],
    [() => b.broadcast(f32(2, 3), [4, 3]), "broadcast", "[2,3]", "[4,3]"],
    [() => b.broadcast(f32(3), [2, 3]), "broadcast", "[3]", "[2,3]"],
    [() => m.permute(f32(2, 3), [0, 0]), "permute", "[0,0]", "2 axes", "[2,3]"],
    [() => m.slice(f32(2, 3), { ...one, starts: [0, 3] }), "slice", "start 3", "axis 1", "[2,3]"],
    [() => m.slice(f32(2, 3), { ...one, sizes: [2, 1], steps: [2, 1] }), "slice", "step 2", "axis 0", "[2,3]"],
    [() => m.pad(f32(2), { lo: [-1], hi: [0], interior: [0], value: 0 }), "pad", "[-1]", ">= 0"],
    [() => m.concat([f32(2, 3), f32(3, 3)], 1), "concat", "f32[2,3]", "f32[3,3]", "but 1"],
    [() => m.concat([f32(2), i32(2)], 0), "concat", "f32[2]", "i32[2]", "dtype"],
    [() => m.unfold(f32(2, 4), window), "unfold", "window of 3", "spans 5", "axis 1", "[2,4]", "has 4"],
    [() => m.fold(f32(1, 2, 3), { ...window, length: 6 }), "fold", "2 windows of 3", "[1,2,3]", "cover 7", "has 6"],
  ],
  contraction: [
    [() => c.dot(f32(2, 3), f32(4, 5)), "dot", "[2,3]", "[4,5]", "[b.., m, k]"],
    [() => c.dot(f32(3), f32(3)), "dot", "[3]"],
    [() => c.dot(f32(2, 2, 3), f32(1, 3, 4)), "dot", "[2,2,3]", "[1,3,4]"],
    [() => c.dot(i32(2, 2), i32(2, 2)), "dot", "float", "i32"],
    [() => c.conv(f32(1, 1, 5), f64(1, 1, 3), conv), "conv", "f32", "f64"],
    [() => c.conv(f32(1, 5), f32(1, 3), conv), "conv", "[1,5]", "[1,3]", "rank 3, 4 or 5"],
    [() => c.conv(f32(8, 1, 28), f32(4, 3, 3), conv), "conv", "[4,3,3]", "expects 3 input channels", "[8,1,28]"],
    [() => c.conv(f32(1, 4, 5), f32(3, 2, 3), { ...conv, groups: 2 }), "conv", "3 output channels", "2 groups"],
    [() => c.conv(f32(1, 1, 4), f32(1, 1, 3), { ...conv, dilation: [2] }), "conv", "[3]", "dilation [2]", "[1,1,4]"],
    [() => c.conv(f32(1, 1, 4), f32(1, 1, 3), { ...conv, stride: [0] }), "conv", "stride [0]", ">= 1"],
    [() => c.conv(f32(1, 1, 4), f32(1, 1, 3), { ...conv, padding: [[-1, 0]] }), "conv", "[[-1,0]]", ">= 0"],
    [() => c.conv(f32(1, 1, 4, 4), f32(1, 1, 3, 3), conv), "conv", "stride [1]", "[1,1,4,4] takes 2"],
    [
      () => c.convInputGrad(f32(1, 2, 3), f32(3, 1, 3), { ...conv, spatial: [5] }),
      "convInputGrad",
      "3 channels",
      "[1,2,3]",
    ],
    [
      () => c.convInputGrad(f32(1, 3, 3), f32(3, 1, 3), { ...conv, spatial: [6] }),
      "convInputGrad",
      "[6]",
      "[4]",
      "[1,3,3]",
    ],
    [
      () => c.convWeightGrad(f32(2, 1, 5), f32(1, 1, 3), { ...conv, kernel: [3] }),
      "convWeightGrad",
      "[2,1,5]",
      "[1,1,3]",
    ],
    [
      () => c.convWeightGrad(f32(1, 1, 5), f32(1, 1, 3), { ...conv, kernel: [2] }),
      "convWeightGrad",
      "[2]",
      "[4]",
      "[1,1,3]",
    ],
  ],
  indexing: [
    [() => ix.gather(f32(3), u32(2), 0), "gather", "i32", "u32"],
    [() => ix.gather(f32(2, 3), i32(3, 3), 1), "gather", "[3,3]", "[2,3]", "every axis but 1"],
    [() => ix.gather(f32(0), i32(1), 0), "gather", "axis 0", "[0]", "empty"],
    [() => ix.scatterAdd(i32(2), f32(3), { axis: 0, length: 3 }), "scatterAdd", "[2]", "[3]"],
    [() => ix.scatterAdd(f32(2), f32(2), { axis: 0, length: 3 }), "scatterAdd", "i32", "f32"],
    [() => ix.scatterAdd(i32(2), bool(2), { axis: 0, length: 3 }), "scatterAdd", "numbers", "bool"],
    [() => ix.argsort(f32(3), { axis: 0, descending: true, limit: 4 }), "argsort", "keep 4", "3 elements", "axis 0"],
  ],
  control: [
    [() => control.scan([f32(2), f32(4, 3)], loop), "scan", "2 inputs", "3 inputs"],
    [() => control.scan([f32(2), f32(3, 3), f32()], loop), "scan", "input 1", "f32[3,3]", "f32[4,3]"],
    [() => control.scan([f32(2), f32(4, 3), f64()], loop), "scan", "input 2", "f64[]", "f32[]"],
    [
      () => control.scan([f32(2), f32(4, 3), f32()], { ...loop, body: { ...body, outputs: [f32(3)] } }),
      ...["scan", "carry 0", "f32[2]", "f32[3]"],
    ],
    [() => control.randomBits(u32(2), [4]), "randomBits", "u32[3]", "u32[2]"],
  ],
  leaves: [
    [() => l.data({ shape: [2, 2], dtype: "f32", data: new Float32Array(3) }), "3 values", "[2,2]", "4"],
    [() => l.data({ shape: [2], dtype: "f32", data: new Int32Array(2) }), "f32", "Float32Array", "Int32Array"],
  ],
};

describe("a wrong call throws where it is made and names operation, shapes and rule", () => {
  for (const [family, cases] of Object.entries(mistakes))
    test(family, () => {
      for (const [make, ...named] of cases)
        assert.throws(make, (error) => {
          assert.ok(error instanceof ShapeError, String(error));
          for (const part of named) assert.ok(error.message.includes(part), `"${part}" is missing: ${error.message}`);
          return true;
        });
    });
});

test("a leaf takes every dtype in its own array", () => {
  for (const dtype of ["f32", "f64", "f16", "bf16", "i32", "u32", "u8", "bool"] as const) {
    const shape = [2, 3];
    const node = l.data({ shape, dtype, data: new (arrayType(dtype))(sizeOf(shape)) });
    assert.deepEqual([node.shape, node.dtype], [shape, dtype]);
  }
});
