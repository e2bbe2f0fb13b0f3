// node scripts/onnxruntime-check.mjs [folder] [--models | --models=vgg11,vit_ti_16]
// Exports every sample of every primitive, and with --models the first model of each family and every other one of at most 30
// million parameters, at its real size with drawn weights (or the named models alone), runs the files in ONNX Runtime, and
// compares. onnxruntime-node is looked for in node_modules of the folder, or of this project.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { argv, exit } from "node:process";
import { node, root } from "./setup.mjs";

const named = argv
  .find((word) => word.startsWith("--models="))
  ?.slice("--models=".length)
  .split(",");
const words = argv.slice(2).filter((word) => !word.startsWith("--"));
let ort;
try {
  ort = createRequire(join(resolve(words[0] ?? root), "package.json"))("onnxruntime-node");
} catch {
  console.error("onnxruntime-node is not there; npm install onnxruntime-node in some folder, and name the folder");
  exit(2);
}
node("scripts/build.mjs");
const load = (path) => import(join(root, "dist", path));
const { setBackend, Tensor, tensor } = await load("src/index.js");
const nn = await load("src/nn/index.js");
const { createModel, models } = await load("src/models/index.js");
const { exportOnnx } = await load("src/onnx/index.js");
const { samples } = await load("test/support/samples.js");
const { uniform } = await load("test/support/check-grads.js");

const types = { f32: "float32", f64: "float64", i32: "int32", bool: "bool" };

/** The largest error of ONNX Runtime's outputs, relative to the largest value of each. */
async function difference(model, bytes, inputs, outputs) {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 2 });
  const feeds = {};
  for (const [i, name] of session.inputNames.entries())
    feeds[name] = new ort.Tensor(types[inputs[i].dtype], await inputs[i].data(), inputs[i].shape);
  const results = await session.run(feeds);
  const want = [nn.inEvalMode(model, () => model.forward(...inputs))].flat();
  let worst = 0;
  for (const [i, output] of want.entries()) {
    const { data, dims } = results[outputs[i]];
    if (String(dims) !== String(output.shape)) throw new Error(`shape ${dims}, expected ${output.shape}`);
    const values = await output.data();
    const scale = values.reduce((m, v) => Math.max(m, Number.isFinite(v) ? Math.abs(v) : 0), 0) || 1;
    values.forEach((v, k) => {
      const d = Object.is(Number(data[k]), Number(v)) || data[k] === v ? 0 : Math.abs(Number(data[k]) - v) / scale;
      worst = Math.max(worst, Number.isNaN(d) ? Number.POSITIVE_INFINITY : d);
    });
  }
  return worst;
}

class Sample extends nn.Module {
  constructor(fn) {
    super();
    this.fn = fn;
  }
  forward(...x) {
    return [this.fn(...x.map((t) => t.node))].flat().map((made) => new Tensor(made));
  }
}

const failures = [];
const counts = { equal: 0, "not exported": 0, "no kernel in ONNX Runtime": 0 };
setBackend("reference");
for (const [name, { cases }] of named ? [] : Object.entries(samples))
  for (const dtype of Object.keys(types))
    for (const [i, [fn, ...points]] of cases.entries()) {
      const what = `${name} ${dtype} ${i}`;
      if (name === "pow" && dtype === "i32") continue; // negative powers of integers are not defined
      const isFloat = dtype === "f32" || dtype === "f64";
      const value = (v) => (isFloat ? v : dtype === "bool" ? Number(v > 0) : Math.round(v * 7));
      const inputs = points.map(({ shape, values }) => tensor(values.map(value), { shape, dtype }));
      const model = new Sample(fn);
      let outputs;
      try {
        outputs = model.forward(...inputs).map((_, k) => `y${k}`);
      } catch {
        continue; // the primitive does not take this dtype
      }
      try {
        const specs = Object.fromEntries(inputs.map((x, k) => [`x${k}`, { shape: x.shape, dtype }]));
        const worst = await difference(model, exportOnnx(model, { inputs: specs, outputs }), inputs, outputs);
        if (worst < 1e-5) counts.equal++;
        else failures.push(`${what}: relative error ${worst}`);
      } catch (error) {
        const message = String(error.message ?? error);
        if (message.startsWith("exportOnnx")) counts["not exported"]++;
        else if (/Could not find an implementation|Type Error|Unsupported data type/.test(message))
          counts["no kernel in ONNX Runtime"]++;
        else failures.push(`${what}: ${message.slice(0, 300)}`);
      }
    }
if (!named)
  console.log(
    `primitives: ${Object.entries(counts)
      .map(([what, n]) => `${n} ${what}`)
      .join(", ")}`,
  );

if (named || argv.includes("--models")) {
  setBackend("auto");
  const all = Object.entries(models).flatMap(([family, { variants }]) =>
    Object.entries(variants).map(([name, { input }], i) => ({ family, name, input, first: i === 0 })),
  );
  const worstOf = {};
  for (const { family, name, input, first } of all) {
    if (named && !named.includes(name)) continue;
    const bare = await createModel(name);
    if (!named && bare.parameterCount > 30e6 && !first) continue;
    const model = nn.initialize(bare, 1);
    const head = model.variables().get(`${nn.headOf(model)}.weight`); // a new ViT's is 0
    head.assign(
      tensor(
        Float32Array.from(uniform(head.size, 5), (u) => u * 0.05),
        head.shape,
      ),
    );
    const bytes = exportOnnx(model, { inputs: { input: { shape: ["batch", ...input] } }, outputs: ["logits"] });
    for (const batch of [1, 3]) {
      const x = tensor(Float32Array.from(uniform(batch * input.reduce((a, b) => a * b, 1), 3)), [batch, ...input]);
      const worst = await difference(model, bytes, [x], ["logits"]);
      console.log(`${name}, batch ${batch}: relative error ${worst.toExponential(1)}`);
      worstOf[family] = Math.max(worstOf[family] ?? 0, worst);
      if (!(worst < 1e-4)) failures.push(`${name}: relative error ${worst}`);
    }
  }
  for (const [family, worst] of Object.entries(worstOf)) console.log(`${family}: within ${worst.toExponential(1)}`);
}
for (const failure of failures) console.error(failure);
exit(failures.length ? 1 : 0);
