import { ShapeError, showShape } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { attentionWeights, scaledDotProductAttention } from "../ops/attention.ts";
import { dropout } from "../ops/dropout.ts";
import { linear } from "../ops/linear.ts";
import { defaultGenerator, type Generator } from "../ops/random.ts";
import { type Tensor, where } from "../ops/tensor.ts";
import { xavierUniform, zeros } from "./init.ts";
import { Linear } from "./linear.ts";
import { Module, type Param, param } from "./module.ts";

export interface MultiheadAttentionOptions {
  /** Probability of dropping a weight, in training mode. */
  readonly dropout?: number;
  readonly bias?: boolean;
  /** Width of the keys; default that of the queries. */
  readonly kdim?: number;
  /** Width of the values; default that of the queries. */
  readonly vdim?: number;
  /** Whether tensors are [b, t, d] rather than [t, b, d]. */
  readonly batchFirst?: boolean;
  readonly generator?: Generator;
}

/** As in PyTorch, true in a bool mask hides a key; a float mask is added to the scores. */
export interface AttentionMasks {
  /** [b, k]. */
  readonly keyPaddingMask?: Tensor | null;
  /** [q, k] or [b * heads, q, k]. */
  readonly attnMask?: Tensor | null;
  /** Whether query i sees keys 0 to i only. */
  readonly isCausal?: boolean;
}

export interface AttentionCall extends AttentionMasks {
  /** Whether to return the weights, averaged over the heads (default true); without, none are kept in memory. */
  readonly needWeights?: boolean;
  /** False returns the weights of every head. */
  readonly averageAttnWeights?: boolean;
}

/** Attention in several heads over projections of queries, keys and values (Vaswani et al. 2017). */
export class MultiheadAttention extends Module {
  in_proj_weight: Param | null; // [3 d, d], where keys and values are as wide as queries
  q_proj_weight: Param | null; // [d, d]
  k_proj_weight: Param | null; // [d, kdim]
  v_proj_weight: Param | null; // [d, vdim]
  in_proj_bias: Param | null; // [3 d]
  readonly out_proj: Linear;
  readonly heads: number;
  readonly options: MultiheadAttentionOptions;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { bias = true, kdim = embedDim, vdim = embedDim } = options;
    if (embedDim % numHeads)
      throw new ShapeError(`MultiheadAttention: the width ${embedDim} does not divide into ${numHeads} heads`);
    const packed = kdim === embedDim && vdim === embedDim;
    const weight = (out: number, width: number) => param([out, width], xavierUniform());
    this.in_proj_weight = packed ? weight(3 * embedDim, embedDim) : null;
    this.q_proj_weight = packed ? null : weight(embedDim, embedDim);
    this.k_proj_weight = packed ? null : weight(embedDim, kdim);
    this.v_proj_weight = packed ? null : weight(embedDim, vdim);
    this.in_proj_bias = bias ? param([3 * embedDim], zeros) : null;
    this.out_proj = new Linear(embedDim, embedDim, { bias });
    if (bias) this.out_proj.bias = param([embedDim], zeros);
    this.heads = numHeads;
    this.options = options;
  }

  /** query [q, b, d], key [k, b, kdim], value [k, b, vdim] (batch first if so) -> [q, b, d] and weights [b, q, k]. */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttentionCall = {},
  ): [output: Tensor, weights: Tensor | null] {
    const { batchFirst = false, dropout: p = 0, generator = defaultGenerator } = this.options;
    const { needWeights = true, averageAttnWeights = true, isCausal = false } = options;
    for (const [name, t] of Object.entries({ query, key, value }))
      if (t.rank !== 3)
        throw new ShapeError(
          `MultiheadAttention: ${name} must be [${batchFirst ? "b, t" : "t, b"}, d], it is ${showShape(t.shape)}`,
        );
    const [q, k, v] = this.#project(query, key, value).map((t) => this.#split(t));
    const attend = { mask: this.#mask(q, k, options), isCausal };
    const dropping = this.training ? p : 0;
    const project = (y: Tensor) =>
      this.out_proj.forward(y.permute(batchFirst ? [0, 2, 1, 3] : [2, 0, 1, 3]).flatten(2)); // [b, q, heads, d / heads]
    if (!needWeights)
      return [project(scaledDotProductAttention(q, k, v, { ...attend, dropout: dropping, generator })), null];
    const weights = attentionWeights(q, k, attend);
    const output = project(dropout(weights, dropping, generator).matmul(v));
    return [output, averageAttnWeights ? weights.mean(1) : weights];
  }

  #project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    const d = this.out_proj.weight.shape[0];
    const { in_proj_weight: packed, in_proj_bias: bias } = this;
    const third = (t: Tensor | null, i: number) => t?.slice(0, i * d, (i + 1) * d) ?? null;
    if (packed && query === key && key === value) {
      const all = linear(query, packed, bias);
      return [0, 1, 2].map((i) => all.slice(2, i * d, (i + 1) * d));
    }
    const own = [this.q_proj_weight, this.k_proj_weight, this.v_proj_weight];
    return [query, key, value].map((t, i) => linear(t, (third(packed, i) ?? own[i]) as Tensor, third(bias, i)));
  }

  /** [b, t, d] or [t, b, d] -> [b, heads, t, d / heads]. */
  #split(t: Tensor): Tensor {
    const heads = t.reshape([t.shape[0], t.shape[1], this.heads, -1]);
    return heads.permute(this.options.batchFirst ? [0, 2, 1, 3] : [1, 2, 0, 3]);
  }

  /** Both masks as one that adds to scores [b, heads, q, k], or says who sees whom. */
  #mask(q: Tensor, k: Tensor, { keyPaddingMask = null, attnMask = null }: AttentionMasks): Tensor | null {
    const [b, heads, queries] = q.shape;
    const keys = k.shape[2];
    const check = (name: string, t: Tensor, ...allowed: number[][]) => {
      if (!allowed.some((shape) => sameShape(shape, t.shape)))
        throw new ShapeError(
          `MultiheadAttention: ${name} must be ${allowed.map(showShape).join(" or ")}, it is ${showShape(t.shape)}`,
        );
    };
    const masks: Tensor[] = [];
    if (keyPaddingMask) {
      check("keyPaddingMask", keyPaddingMask, [b, keys]);
      masks.push(keyPaddingMask.reshape([b, 1, 1, keys]));
    }
    if (attnMask) {
      check("attnMask", attnMask, [queries, keys], [b * heads, queries, keys]);
      masks.push(attnMask.rank === 2 ? attnMask : attnMask.reshape([b, heads, queries, keys]));
    }
    if (masks.length === 0) return null;
    if (masks.every((m) => m.dtype === "bool")) return masks.reduce((a, m) => a.or(m)).not();
    return masks
      .map((m) => (m.dtype === "bool" ? where(m, Number.NEGATIVE_INFINITY, 0) : m))
      .reduce((a, m) => a.add(m));
  }
}
