/** A small problem on which optimizers are tried: a linear model of a fixed batch. */
import { fromHost, type Gradients, type Tensor, tensor, Variable, valueAndGrad } from "../../src/index.ts";

const wave = (count: number, phase: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + phase));
const variable = (shape: number[], phase: number) =>
  new Variable(
    fromHost({
      shape,
      dtype: "f32",
      data: wave(
        shape.reduce((a, b) => a * b, 1),
        phase,
      ),
    }),
  );

export class Problem {
  readonly weight: Variable = variable([3, 4], 0);
  readonly bias: Variable = variable([4], 1);
  readonly x: Tensor = tensor(wave(18, 2), [6, 3]);
  readonly y: Tensor = tensor(wave(24, 3), [6, 4]);

  namedParameters(): [string, Variable][] {
    return [
      ["fc.weight", this.weight],
      ["fc.bias", this.bias],
    ];
  }
  gradients(): Gradients {
    return valueAndGrad(this as Problem, (p) => p.x.matmul(p.weight).add(p.bias).tanh().sub(p.y).square().mean())[1];
  }
  /** All parameters, one after the other. */
  values(): number[] {
    return [...this.weight.dataSync(), ...this.bias.dataSync()];
  }
}
