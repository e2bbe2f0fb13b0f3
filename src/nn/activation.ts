import {
  elu,
  type GeluOptions,
  gelu,
  glu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
} from "../ops/activation.ts";
import type { Tensor } from "../ops/tensor.ts";
import { constantInit } from "./init.ts";
import { Module, type Param, param } from "./module.ts";

export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return relu6(x);
  }
}
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return selu(x);
  }
}
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return silu(x);
  }
}
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return mish(x);
  }
}
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return logSigmoid(x);
  }
}
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return x.tanh();
  }
}
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return softsign(x);
  }
}
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return hardsigmoid(x);
  }
}
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

export class GELU extends Module {
  readonly options: GeluOptions;
  constructor(options: GeluOptions = {}) {
    super();
    this.options = options;
  }
  forward(x: Tensor): Tensor {
    return gelu(x, this.options);
  }
}

export class LeakyReLU extends Module {
  readonly negativeSlope: number;
  constructor(negativeSlope = 0.01) {
    super();
    this.negativeSlope = negativeSlope;
  }
  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope);
  }
}

export class ELU extends Module {
  readonly alpha: number;
  constructor(alpha = 1) {
    super();
    this.alpha = alpha;
  }
  forward(x: Tensor): Tensor {
    return elu(x, this.alpha);
  }
}

export class Softplus extends Module {
  readonly beta: number;
  constructor(beta = 1) {
    super();
    this.beta = beta;
  }
  forward(x: Tensor): Tensor {
    return softplus(x, this.beta);
  }
}

export class Hardtanh extends Module {
  readonly low: number;
  readonly high: number;
  constructor(low = -1, high = 1) {
    super();
    this.low = low;
    this.high = high;
  }
  forward(x: Tensor): Tensor {
    return hardtanh(x, this.low, this.high);
  }
}

/** The slope below zero is trained: one for all, or one per channel. */
export class PReLU extends Module {
  weight: Param; // [1] or [c]
  constructor(numParameters = 1, init = 0.25) {
    super();
    this.weight = param([numParameters], constantInit(init));
  }
  forward(x: Tensor): Tensor {
    return prelu(x, this.weight);
  }
}

export class GLU extends Module {
  readonly axis: number;
  constructor(axis = -1) {
    super();
    this.axis = axis;
  }
  forward(x: Tensor): Tensor {
    return glu(x, this.axis);
  }
}

export class Softmax extends Module {
  readonly axis: number;
  constructor(axis = -1) {
    super();
    this.axis = axis;
  }
  forward(x: Tensor): Tensor {
    return softmax(x, this.axis);
  }
}

export class LogSoftmax extends Module {
  readonly axis: number;
  constructor(axis = -1) {
    super();
    this.axis = axis;
  }
  forward(x: Tensor): Tensor {
    return logSoftmax(x, this.axis);
  }
}
