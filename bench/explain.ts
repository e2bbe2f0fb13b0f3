// node dist/bench/explain.js [model]: explanations by gradients of one image beside the forward and backward passes that
// they are made of. Medians of interleaved runs, in milliseconds, and the ratio to the first.
import { jit, type Tensor, valueAndGrad } from "manabi";
import { cam, gradCam, gradCamPlusPlus, guidedBackprop, lastMapLayer, mapLayers, saliency } from "manabi/explain";
import { createModel } from "manabi/models";
import { initialize } from "manabi/nn";
import { values } from "../src/bench/works/work.ts";

const name = process.argv[2] ?? "resnet50";
const rounds = 15;
const model = initialize(await createModel(name), 0).eval();
const x = values([1, 3, 224, 224]);
const score = (x: Tensor): Tensor => model.forward(x).max(1).sum();
const forward = jit((x: Tensor) => model.forward(x));
const byInputs = jit((x: Tensor) => valueAndGrad(x, score)[1]);
const byParameters = jit((x: Tensor) => Object.fromEntries(valueAndGrad(model, () => score(x))[1]));
const [first] = mapLayers(model, x);

const works: Readonly<Record<string, () => Promise<unknown>>> = {
  "forward and backward to the image": () => byInputs(x).data(),
  "forward and backward to the parameters": () => Object.values(byParameters(x))[0].data(),
  forward: () => forward(x).data(),
  CAM: () => cam(model, x),
  [`Grad-CAM, ${lastMapLayer(model, x)}`]: () => gradCam(model, x),
  [`Grad-CAM++, ${lastMapLayer(model, x)}`]: () => gradCamPlusPlus(model, x),
  [`Grad-CAM, ${first}`]: () => gradCam(model, x, { layer: first }),
  saliency: () => saliency(model, x),
  "guided backpropagation": () => guidedBackprop(model, x),
};
const times = new Map(Object.keys(works).map((name): [string, number[]] => [name, []]));
for (let round = -2; round < rounds; round++)
  for (const [name, work] of Object.entries(works)) {
    const start = performance.now();
    await work();
    if (round >= 0) times.get(name)?.push(performance.now() - start);
  }
let whole = 0;
for (const [name, list] of times) {
  const median = list.sort((a, b) => a - b)[rounds >> 1];
  whole ||= median;
  console.log(`${name.padEnd(40)} ${median.toFixed(1).padStart(8)}  ${(median / whole).toFixed(2)}`);
}
