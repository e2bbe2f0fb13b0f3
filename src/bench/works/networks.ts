/** Transformers to measure with, from the layers that users have: the same arithmetic as the peers' own. */
import {
  Conv2d,
  Embedding,
  GELU,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
  MultiheadAttention,
  param,
} from "../../nn/index.ts";
import { normal, zeros } from "../../nn/init.ts";
import { scaledDotProductAttention } from "../../ops/attention.ts";
import { arange } from "../../ops/creation.ts";
import { concatenate, type Tensor } from "../../ops/tensor.ts";

const [width, heads, depth] = [768, 12, 12];

class EncoderBlock extends Module {
  ln_1 = new LayerNorm(width, { eps: 1e-6 });
  self_attention = new MultiheadAttention(width, heads, { batchFirst: true });
  ln_2 = new LayerNorm(width, { eps: 1e-6 });
  fc1 = new Linear(width, 4 * width);
  act = new GELU();
  fc2 = new Linear(4 * width, width);

  forward(x: Tensor): Tensor {
    const y = this.ln_1.forward(x);
    const seen = x.add(this.self_attention.forward(y, y, y, { needWeights: false })[0]);
    return seen.add(this.fc2.forward(this.act.forward(this.fc1.forward(this.ln_2.forward(seen)))));
  }
}

/** ViT-B/16 at 224 (Dosovitskiy et al. 2020): images [b, 3, 224, 224] -> logits [b, 1000]. */
export class VisionTransformer extends Module {
  class_token = param([1, 1, width], zeros);
  conv_proj = new Conv2d(3, width, 16, { stride: 16 });
  pos_embedding = param([1, 197, width], normal(0, 0.02));
  layers = new ModuleList(Array.from({ length: depth }, () => new EncoderBlock()));
  ln = new LayerNorm(width, { eps: 1e-6 });
  head = new Linear(width, 1000);

  forward(x: Tensor): Tensor {
    const patches = this.conv_proj.forward(x).flatten(2).transpose(1, 2); // [b, 196, width]
    const first = this.class_token.broadcastTo([x.shape[0], 1, width]);
    let y = concatenate([first, patches], 1).add(this.pos_embedding);
    for (const layer of this.layers) y = layer.forward(y);
    return this.head.forward(this.ln.forward(y).select(1, 0));
  }
}

class DecoderBlock extends Module {
  ln_1 = new LayerNorm(width);
  c_attn = new Linear(width, 3 * width);
  c_proj = new Linear(width, width);
  ln_2 = new LayerNorm(width);
  c_fc = new Linear(width, 4 * width);
  act = new GELU({ approximate: "tanh" });
  mlp_proj = new Linear(4 * width, width);

  forward(x: Tensor): Tensor {
    const [b, t] = x.shape;
    const all = this.c_attn.forward(this.ln_1.forward(x));
    const [q, k, v] = [0, 1, 2].map((i) =>
      all
        .slice(2, i * width, (i + 1) * width)
        .reshape([b, t, heads, width / heads])
        .permute([0, 2, 1, 3]),
    );
    const mixed = scaledDotProductAttention(q, k, v, { isCausal: true }).permute([0, 2, 1, 3]).reshape([b, t, width]);
    const seen = x.add(this.c_proj.forward(mixed));
    return seen.add(this.mlp_proj.forward(this.act.forward(this.c_fc.forward(this.ln_2.forward(seen)))));
  }
}

/** A decoder of the size of GPT-2 small (Radford et al. 2019), head tied to the embedding: tokens [b, t] -> [b * t, 50257]. */
export class Decoder extends Module {
  wte: Embedding;
  wpe: Embedding;
  h = new ModuleList(Array.from({ length: depth }, () => new DecoderBlock()));
  ln_f = new LayerNorm(width);

  constructor(vocabulary: number, context: number) {
    super();
    this.wte = new Embedding(vocabulary, width);
    this.wpe = new Embedding(context, width);
    this.wte.weight = param([vocabulary, width], normal(0, 0.02));
    this.wpe.weight = param([context, width], normal(0, 0.02));
  }

  forward(tokens: Tensor): Tensor {
    const [b, t] = tokens.shape;
    let x = this.wte.forward(tokens).add(this.wpe.forward(arange(t, undefined, 1, { dtype: "i32" })));
    for (const block of this.h) x = block.forward(x);
    return this.ln_f
      .forward(x)
      .reshape([b * t, width])
      .matmul(this.wte.weight.transpose());
  }
}
