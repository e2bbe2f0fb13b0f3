/** Layers against PyTorch: state dict keys, outputs, gradients by inputs and parameters, updated buffers. */
import assert from "node:assert/strict";
import { isFloat } from "../../src/core/dtype.ts";
import { type AttentionOptions, scaledDotProductAttention, Tensor, zeros } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import { type Call, callBy, claimsOf, type GoldenCase, type Inputs, type Stored, testFamily } from "./cases.ts";

interface LayerCase extends GoldenCase<LayerAttrs> {
  /** Keys of the state dict, in order. */
  readonly state: readonly string[];
}
interface LayerAttrs {
  readonly args: never[];
  readonly options: never;
  readonly train: boolean;
}

type Made = { readonly module: nn.Module; call(inputs: Inputs): readonly Tensor[] };
type Make = (attrs: LayerAttrs) => Made;

/** A layer made from `args` and `options`, and how it is called. */
const layer =
  <M extends nn.Module>(
    Layer: new (...args: never[]) => M,
    call: (layer: M, inputs: Inputs) => readonly Tensor[],
  ): Make =>
  ({ args, options }) => {
    const module = new Layer(...args, options);
    return { module, call: (inputs) => call(module, inputs) };
  };
const plain = <M extends nn.Module & { forward(x: Tensor): Tensor }>(Layer: new (...args: never[]) => M): Make =>
  layer(Layer, (module, { x }) => [module.forward(x)]);

const layers: Readonly<Record<string, Make>> = {
  Linear: plain(nn.Linear),
  Conv1d: plain(nn.Conv1d),
  Conv2d: plain(nn.Conv2d),
  Conv3d: plain(nn.Conv3d),
  ConvTranspose1d: plain(nn.ConvTranspose1d),
  ConvTranspose2d: plain(nn.ConvTranspose2d),
  ConvTranspose3d: plain(nn.ConvTranspose3d),
  BatchNorm1d: plain(nn.BatchNorm1d),
  BatchNorm2d: plain(nn.BatchNorm2d),
  BatchNorm3d: plain(nn.BatchNorm3d),
  LayerNorm: plain(nn.LayerNorm),
  RMSNorm: plain(nn.RMSNorm),
  GroupNorm: plain(nn.GroupNorm),
  InstanceNorm1d: plain(nn.InstanceNorm1d),
  InstanceNorm2d: plain(nn.InstanceNorm2d),
  InstanceNorm3d: plain(nn.InstanceNorm3d),
  Upsample: plain(nn.Upsample),
  Embedding: layer(nn.Embedding, (module, { index }) => [module.forward(index)]),
  RNN: layer(nn.RNN, (module, { x, h = null }) => module.forward(x, h)),
  GRU: layer(nn.GRU, (module, { x, h = null }) => module.forward(x, h)),
  LSTM: layer(nn.LSTM, (module, { x, h, c }) => {
    const [output, state] = module.forward(x, h ? [h, c] : null);
    return [output, ...state];
  }),
  MultiheadAttention: layer(nn.MultiheadAttention, (module, { x, query = x, key = x, value = x, ...masks }) => {
    const [output, weights] = module.forward(query, key, value, masks);
    return weights ? [output, weights] : [output];
  }),
};

const functions: Readonly<Record<string, Call>> = {
  scaledDotProductAttention: ({ query, key, value, mask = null }, options: AttentionOptions) =>
    scaledDotProductAttention(query, key, value, { ...options, mask }),
};

function layerClaims(c: LayerCase, stored: Stored) {
  const make = layers[c.kind];
  assert.ok(make, `no call for kind ${c.kind}; add it to the table`);
  const { module, call } = make(c.attrs);
  const variables = module.variables();
  assert.deepEqual([...variables.keys()], c.state, "keys of the state dict");
  // Parameters take the dtype of their first value here, so that layers are tested in f64, too.
  for (const v of variables.values())
    if (isFloat(v.dtype)) v.cell.node = zeros(v.shape, { dtype: stored.precision }).node;
  module.loadStateDict(new Map(c.state.map((key) => [key, stored.host(`state/${key}`)])));
  module.train(c.attrs.train);

  const inputs = stored.inputs(c.inputs);
  const leaves = [...Object.entries(inputs), ...module.namedParameters()];
  const claims = claimsOf(c, stored, leaves, () => call(inputs));
  for (const [key, buffer] of module.namedBuffers())
    claims.push({ what: `buffer ${key}`, got: new Tensor(buffer.node), want: stored.host(`after/${key}`) });
  return claims;
}

const call = callBy(functions);
await testFamily<LayerCase>("layers", (c, stored) =>
  c.kind in functions ? call({ ...c, attrs: c.attrs as never }, stored) : layerClaims(c, stored),
);
