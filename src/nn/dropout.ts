import { channelDropout, dropout, dropPath } from "../ops/dropout.ts";
import { defaultGenerator, type Generator } from "../ops/random.ts";
import type { Tensor } from "../ops/tensor.ts";
import { Module } from "./module.ts";

/** In training mode zeroes each element with probability p and divides the rest by 1 - p. */
export class Dropout extends Module {
  readonly p: number;
  readonly generator: Generator;
  constructor(p = 0.5, generator: Generator = defaultGenerator) {
    super();
    this.p = p;
    this.generator = generator;
  }
  forward(x: Tensor): Tensor {
    return this.training ? dropout(x, this.p, this.generator) : x;
  }
}

/** Dropout of whole channels of x [n, c, h, w]. */
export class Dropout2d extends Module {
  readonly p: number;
  readonly generator: Generator;
  constructor(p = 0.5, generator: Generator = defaultGenerator) {
    super();
    this.p = p;
    this.generator = generator;
  }
  forward(x: Tensor): Tensor {
    return this.training ? channelDropout(x, this.p, this.generator) : x;
  }
}

/** Stochastic depth: in training mode zeroes whole samples of a residual branch with probability p. */
export class DropPath extends Module {
  readonly p: number;
  readonly generator: Generator;
  constructor(p = 0, generator: Generator = defaultGenerator) {
    super();
    this.p = p;
    this.generator = generator;
  }
  forward(x: Tensor): Tensor {
    return this.training ? dropPath(x, this.p, this.generator) : x;
  }
}
