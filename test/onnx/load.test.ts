/** ONNX models from PyTorch, and damaged ones. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, test } from "node:test";
import { fromHost, grad, jit, setBackend, type Tensor, tensor } from "../../src/index.ts";
import { loadOnnx, type OnnxModel } from "../../src/onnx/index.ts";
import { encodeMessage } from "../../src/onnx/protobuf.ts";
import { type GraphProto, type ModelProto, modelProto, type NodeProto } from "../../src/onnx/schema.ts";
import { readTensors, relativeError } from "../golden/fixture.ts";
import { fixture } from "../support/paths.ts";

before(() => setBackend("reference"));

const golden = await readTensors("onnx.safetensors");
const stored = (key: string): Tensor => fromHost(golden.get(key) ?? assert.fail(`the fixture has no ${key}`));
const load = async (name: string): Promise<OnnxModel> => loadOnnx(await readFile(fixture(`onnx/${name}.onnx`)));

for (const name of ["classifier", "transformer", "decoder"])
  for (const exporter of ["", "-old"])
    test(`${name}${exporter} gives PyTorch's output for another batch than the traced one`, async () => {
      const model = await load(`${name}${exporter}`);
      assert.deepEqual(
        model.inputs.map((v) => [v.name, v.dtype, v.shape?.[0]]),
        [["x", "f32", "n"]],
      );
      const { y } = model.run({ x: stored(`${name}/input`) });
      const error = relativeError(await y.data(), await stored(`${name}/output`).data());
      assert.ok(error < 1e-5, `relative error ${error}`);
    });

describe("a model is a function of tensors", () => {
  test("it can be jitted", async () => {
    const model = await load("classifier");
    const step = jit((x: Tensor) => model.run({ x }).y);
    const want = await stored("classifier/output").data();
    for (let i = 0; i < 2; i++) assert.ok(relativeError(await step(stored("classifier/input")).data(), want) < 1e-5);
  });

  test("its gradients by input and by weights are those of finite differences", async () => {
    const model = await load("classifier");
    const bias = [...model.initializers.keys()].find((name) => name.endsWith("fc.bias")) as string;
    assert.ok(bias);
    const x = stored("classifier/input");
    const loss = (x: Tensor, b: Tensor) =>
      model
        .run({ x }, { [bias]: b })
        .y.square()
        .sum();
    const b = model.initializers.get(bias) as Tensor;
    const [dx, db] = grad(([x, b]: [Tensor, Tensor]) => loss(x, b))([x, b]);
    const y = await model.run({ x }).y.sum(0).mul(2).data();
    assert.ok(relativeError(await db.data(), y) < 1e-5);
    // Along a direction, the loss changes by the product of the gradient with it.
    const direction = x.mul(13).sin();
    const step = 1e-2;
    const [up, down] = await Promise.all([step, -step].map((h) => loss(x.add(direction.mul(h)), b).item()));
    const slope = await dx.mul(direction).sum().item();
    assert.ok(
      Math.abs((up - down) / (2 * step) - slope) < 1e-2 * Math.abs(slope) + 1e-2,
      `${(up - down) / (2 * step)} ${slope}`,
    );
  });
});

const floatVector = (name: string) => ({ name, type: { tensor: { elemType: 1, shape: { dim: [{ param: "n" }] } } } });

/** A model of one input x and one output y. */
const modelOf = (nodes: readonly NodeProto[], over: Partial<GraphProto> = {}, rest: Partial<ModelProto> = {}) =>
  encodeMessage(modelProto, {
    irVersion: 8,
    opsetImport: [{ version: 18 }],
    graph: { node: nodes, input: [floatVector("x")], output: [floatVector("y")], ...over },
    ...rest,
  });
const node = (opType: string, input: readonly string[], output = ["y"]): NodeProto => ({ opType, input, output });

describe("operators whose versions or options differ", () => {
  const ints = (name: string, dims: readonly number[], values: readonly number[]) =>
    ({ name, dims, dataType: 7, int64Data: values }) as const;
  const floats = (name: string, dims: readonly number[], values: readonly number[]) =>
    ({ name, dims, dataType: 1, floatData: values }) as const;
  const run = async (bytes: Uint8Array, x: Tensor) => {
    const { y } = loadOnnx(bytes).run({ x });
    return [[...y.shape], [...(await y.data())]];
  };
  const matrix = { input: [{ name: "x", type: { tensor: { elemType: 1 } } }] };
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);

  test("scattering replaces or adds, by several axes or one, negative positions from the end", async () => {
    const scatter = (
      opType: string,
      attribute: NodeProto["attribute"],
      at: readonly [number[], number[]],
      n: number[],
    ) =>
      modelOf([{ ...node(opType, ["x", "at", "v"]), attribute }], {
        ...matrix,
        initializer: [ints("at", ...at), floats("v", opType === "ScatterND" ? [at[0][0]] : at[0], n)],
      });
    const add = [{ name: "reduction", s: new TextEncoder().encode("add") }];
    const rows: [number[], number[]] = [
      [2, 2],
      [0, 1, -1, -1],
    ];
    assert.deepEqual(await run(scatter("ScatterND", [], rows, [10, 20]), x), [
      [2, 3],
      [1, 10, 3, 4, 5, 20],
    ]);
    assert.deepEqual((await run(scatter("ScatterND", add, rows, [10, 20]), x))[1], [1, 12, 3, 4, 5, 26]);
    const along = [{ name: "axis", i: 1 }];
    const columns: [number[], number[]] = [
      [2, 1],
      [2, -3],
    ];
    assert.deepEqual((await run(scatter("ScatterElements", along, columns, [0, 9]), x))[1], [1, 2, 0, 9, 5, 6]);
    const multiply = [{ name: "reduction", s: new TextEncoder().encode("mul") }];
    await assert.rejects(run(scatter("ScatterND", multiply, rows, [1, 2]), x), /reduction = mul is not supported/);
  });

  test("gathering by several axes", async () => {
    const gather = (at: readonly [number[], number[]]) =>
      modelOf([node("GatherND", ["x", "at"])], { ...matrix, initializer: [ints("at", ...at)] });
    const at = [
      [2, 2],
      [1, 0, -2, 2],
    ] as [number[], number[]];
    assert.deepEqual(await run(gather(at), x), [[2], [4, 3]]);
    assert.deepEqual(await run(gather([[1, 1], [1]]), x), [
      [1, 3],
      [4, 5, 6],
    ]);
  });

  test("axes of a reduction are an attribute before operator set 13, and an input from then on", async () => {
    const old = modelOf([{ ...node("ReduceSum", ["x"]), attribute: [{ name: "axes", ints: [0] }] }], matrix, {
      opsetImport: [{ version: 11 }],
    });
    const now = modelOf([node("ReduceSum", ["x", "axes"])], { ...matrix, initializer: [ints("axes", [1], [-2])] });
    for (const bytes of [old, now])
      assert.deepEqual(await run(bytes, x), [
        [1, 3],
        [5, 7, 9],
      ]);
  });

  test("a slice to the end, backwards, and with a step", async () => {
    const slice = (start: number, end: number, step: number) =>
      modelOf([node("Slice", ["x", "start", "end", "axis", "step"])], {
        ...matrix,
        initializer: [
          ints("start", [1], [start]),
          ints("end", [1], [end]),
          ints("axis", [1], [1]),
          ints("step", [1], [step]),
        ],
      });
    assert.deepEqual((await run(slice(1, 2 ** 62, 1), x))[1], [2, 3, 5, 6]);
    assert.deepEqual((await run(slice(-1, -(2 ** 63), -1), x))[1], [3, 2, 1, 6, 5, 4]);
    assert.deepEqual((await run(slice(2, 0, -2), x))[1], [3, 6]);
    assert.deepEqual((await run(slice(0, 3, 2), x))[1], [1, 3, 4, 6]);
  });

  test("integers divide toward zero; the softmax of old sets goes over all axes behind", async () => {
    const divide = modelOf(
      [{ ...node("Cast", ["x"], ["i"]), attribute: [{ name: "to", i: 7 }] }, node("Div", ["i", "by"])],
      {
        ...matrix,
        initializer: [ints("by", [], [-2])],
      },
    );
    assert.deepEqual((await run(divide, x))[1], [0, -1, -1, -2, -2, -3]);
    const softmax = modelOf([{ ...node("Softmax", ["x"]), attribute: [{ name: "axis", i: 0 }] }], matrix, {
      opsetImport: [{ version: 11 }],
    });
    const [, values] = await run(softmax, x);
    assert.ok(Math.abs(values.reduce((a, b) => a + b, 0) - 1) < 1e-6);
  });
});

describe("what is refused", () => {
  const refused = (title: string, bytes: Uint8Array, error: RegExp) =>
    test(title, () => assert.throws(() => loadOnnx(bytes, { label: "m.onnx" }), error));

  refused(
    "all operators that are not known are named, those of other domains too",
    modelOf([
      node("Loop", ["x"]),
      node("Relu", ["x"]),
      { ...node("Attention", ["x"]), domain: "com.microsoft" },
      node("LSTM", ["x"]),
      node("Loop", ["x"]),
      node("constructor", ["x"]),
    ]),
    /m\.onnx: operators that are not supported: LSTM, Loop, com\.microsoft\.Attention, constructor$/,
  );
  refused("an old operator set", modelOf([], {}, { opsetImport: [{ version: 6 }] }), /operator set 6; 7 and later/);
  refused("a file of something else", new TextEncoder().encode("no model at all"), /truncated or damaged|no graph/);
  refused("nothing", new Uint8Array(0), /there is no graph in it/);
  refused(
    "values in another file",
    modelOf([], { initializer: [{ name: "w", dims: [1], dataType: 1, externalData: [{ key: "location" }] }] }),
    /initializer "w": its values are in another file/,
  );
  refused(
    "values that do not fill a shape",
    modelOf([], { initializer: [{ name: "w", dims: [2 ** 40], dataType: 1, rawData: new Uint8Array(4) }] }),
    /takes 4398046511104 bytes, it has 4/,
  );
  refused(
    "a shape that is none",
    modelOf([], { initializer: [{ name: "w", dims: [-1], dataType: 1, rawData: new Uint8Array(4) }] }),
    /\[-1\] is no shape/,
  );
  refused(
    "strings",
    modelOf([], { initializer: [{ name: "w", dims: [1], dataType: 8 }] }),
    /initializer "w" has the ONNX type 8/,
  );
  refused(
    "an int64 that does not fit i32",
    modelOf([], { initializer: [{ name: "w", dims: [1], dataType: 7, int64Data: [2 ** 40] }] }),
    /element 0 is 1099511627776, which does not fit i32/,
  );

  test("wrong inputs, values out of order, attributes that are not carried out", () => {
    const x = tensor([1, -1]);
    const relu = loadOnnx(modelOf([node("Relu", ["x"])]));
    assert.throws(() => relu.run({}), /the input "x" is missing; it takes x/);
    assert.throws(() => relu.run({ z: x }), /there is no input "z"; it takes x/);
    assert.throws(() => relu.run({ x: x.cast("f64") }), /is f64\[2\], it must be f32\[n\]/);
    assert.throws(() => relu.run({ x }, { w: x }), /there is no initializer "w"/);
    const early = loadOnnx(modelOf([node("Relu", ["later"]), node("Relu", ["x"], ["later"])]));
    assert.throws(() => early.run({ x }), /the value "later" is used before any node has computed it/);
    const noInput = loadOnnx(modelOf([node("Add", ["x", ""])]));
    assert.throws(() => noInput.run({ x }), /Add "y": input 1 is missing/);
    const misfit = loadOnnx(
      modelOf([node("MatMul", ["x", "w"])], {
        initializer: [{ name: "w", dims: [3], dataType: 1, floatData: [1, 2, 3] }],
      }),
    );
    assert.throws(() => misfit.run({ x }), /MatMul "y": matmul: .*\[2\] x \[3\] do not multiply/);
    const shape = loadOnnx(
      modelOf(
        [node("Cast", ["x"], ["s"]), node("Reshape", ["x", "s"])].map((n) =>
          n.opType === "Cast" ? { ...n, attribute: [{ name: "to", i: 7 }] } : n,
        ),
      ),
    );
    assert.throws(
      () => jit((x: Tensor) => shape.run({ x }).y)(x),
      /depend on the values of an input are not supported/,
    );
  });

  test("every truncation is an error or a smaller model, never something else", async () => {
    const whole = await readFile(fixture("onnx/classifier-old.onnx"));
    for (let length = 0; length < whole.length; length += 3)
      try {
        loadOnnx(whole.subarray(0, length));
      } catch (error) {
        assert.match((error as Error).name, /^(FormatError|ManabiError)$/, `${length} bytes: ${error}`);
      }
  });

  test("damaged bytes give an error of ours, or a model", async () => {
    const whole = await readFile(fixture("onnx/classifier-old.onnx"));
    for (let at = 0; at < whole.length; at += 2) {
      const damaged = new Uint8Array(whole);
      damaged[at] ^= 0x5a;
      try {
        loadOnnx(damaged);
      } catch (error) {
        assert.match((error as Error).name, /^(FormatError|ManabiError)$/, `byte ${at}: ${error}`);
      }
    }
  });
});
