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
