/** ResNets against torchvision: keys, shapes, parameter counts, logits, loss and gradients. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { evaluate } from "../../src/backends/evaluate.ts";
import { type BackendName, backendStatus, setBackend } from "../../src/backends/select.ts";
import { crossEntropy, jit, type Tensor, valueAndGrad } from "../../src/index.ts";
import { ResNet, variants } from "../../src/models/resnet.ts";
import { readJson, readTensors, relativeError } from "../golden/fixture.ts";
import { generate, images, labels, signed } from "./generated.ts";

interface Listing {
  readonly parameters: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}
type Variant = keyof typeof variants;

const listed = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] as const;
const listedCifar = ["cifar_resnet20", "cifar_resnet56", "cifar_resnet110"] as const;

for (const name of [...listed, ...listedCifar])
  test(`${name}: keys, shapes and parameter count`, async () => {
    const { parameters, shapes } = await readJson<Listing>(`resnet/${name}.json`);
    const model = new ResNet(variants[name]);
    assert.equal(model.parameterCount, parameters);
    assert.deepEqual(
      [...model.variables()].map(([key, v]) => [key, [...v.shape]]),
      Object.entries(shapes).map(([key, shape]) => [key, [...shape]]),
    );
  });

const values = await readTensors("resnet/values.safetensors");

interface LogitCase {
  readonly name: Variant;
  readonly mode: "eval" | "train";
  readonly size: number;
  /** The reference backend is slow, so it runs the small ones. */
  readonly backends: readonly BackendName[];
}
const both = ["native", "reference"] as const;
const cases: readonly LogitCase[] = [
  { name: "cifar_resnet20", mode: "eval", size: 32, backends: both },
  { name: "cifar_resnet20", mode: "train", size: 32, backends: ["native"] },
  { name: "cifar_resnet56", mode: "eval", size: 32, backends: ["native"] },
  { name: "resnet18", mode: "eval", size: 64, backends: both },
  { name: "resnet18", mode: "train", size: 64, backends: ["native"] },
  { name: "resnet18", mode: "eval", size: 224, backends: ["native"] },
  { name: "resnet50", mode: "eval", size: 64, backends: ["native"] },
];

for (const { name: backend, works } of backendStatus())
  describe(`resnet, ${backend}`, { skip: !works }, () => {
    for (const { name, mode, size, backends } of cases)
      if (backends.includes(backend))
        test(`${name}: logits in ${mode} mode at ${size}`, () => {
          setBackend(backend);
          const model = generate(new ResNet(variants[name])).train(mode === "train");
          const logits = jit((x: Tensor) => model.forward(x))(images(2, size));
          const want = values.get(`${name}/${mode}${size}`);
          assert.ok(want);
          assert.deepEqual(logits.shape, want.shape);
          const error = relativeError(logits.dataSync(), want.data);
          assert.ok(error <= 1e-4, `relative error ${error.toExponential(2)}`);
        });
  });

describe("resnet gradients, native", { skip: !backendStatus().some((b) => b.name === "native" && b.works) }, () => {
  for (const [name, batch, size] of [["cifar_resnet20", 4, 32] as const, ["resnet18", 2, 64] as const])
    test(name, () => {
      setBackend("native");
      const model = generate(new ResNet(variants[name]));
      const step = jit((x: Tensor, y: Tensor) => {
        const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
        return [loss, ...grads.values()] as const;
      });
      const [loss, ...grads] = step(images(batch, size), labels(batch, model.config.numClasses));
      const want = values.get(`${name}/loss`);
      const rows = values.get(`${name}/grads`);
      assert.ok(want && rows);
      assert.ok(Math.abs(loss.itemSync() - want.data[0]) <= 1e-5 * Math.abs(want.data[0]));
      assert.equal(rows.shape[0], grads.length);
      const keys = [...model.namedParameters()].map(([key]) => key);
      evaluate(grads.map((g) => g.node)).forEach((g, i) => {
        const probe = signed(100_001, g.length);
        let [squares, product] = [0, 0];
        for (let j = 0; j < g.length; j++) {
          squares += g[j] * g[j];
          product += g[j] * probe[j];
        }
        const [norm, wantProduct] = [rows.data[2 * i], rows.data[2 * i + 1]];
        assert.ok(
          Math.abs(Math.sqrt(squares) - norm) <= 1e-3 * norm,
          `norm of ${keys[i]}: ${Math.sqrt(squares)}, ${norm}`,
        );
        assert.ok(Math.abs(product - wantProduct) <= 1e-3 * norm, `probe of ${keys[i]}: ${product}, ${wantProduct}`);
      });
    });
});
