import { isHalf } from "../core/dtype.ts";
import { ShapeError, showShape, unknownName } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { relu, sigmoid } from "../ops/activation.ts";
import { zeros } from "../ops/creation.ts";
import { dropout } from "../ops/dropout.ts";
import { split, stack } from "../ops/joining.ts";
import { linear } from "../ops/linear.ts";
import { defaultGenerator, type Generator } from "../ops/random.ts";
import { scan } from "../ops/scan.ts";
import { concatenate, productOperand, type Tensor } from "../ops/tensor.ts";
import { uniform } from "./init.ts";
import { Module, type Param, param } from "./module.ts";

export interface RecurrentOptions {
  readonly numLayers?: number;
  readonly bias?: boolean;
  /** Whether x and the output are [b, t, ..] rather than [t, b, ..]. */
  readonly batchFirst?: boolean;
  /** Probability of dropping outputs of every layer but the last, in training mode. */
  readonly dropout?: number;
  /** Whether a second network reads from the end; its outputs follow the first's on the last axis. */
  readonly bidirectional?: boolean;
  readonly generator?: Generator;
}

/** The weights of one layer in one direction; rows of all gates stand one after the other. */
interface Direction {
  readonly inputWeight: Param; // [gates * hidden, in]
  readonly hiddenWeight: Param; // [gates * hidden, hidden]
  readonly inputBias: Param | null; // [gates * hidden]
  readonly hiddenBias: Param | null; // [gates * hidden]
}

/** The state after one step, output first. `input` is the input's share of the gates, bias included. */
type Step = (state: readonly Tensor[], input: Tensor, weights: Direction) => readonly Tensor[];

/** A stack of recurrent layers: what RNN, GRU and LSTM have in common. */
class Stack {
  readonly layers: readonly (readonly Direction[])[];
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly options: RecurrentOptions;
  readonly step: Step;

  /** Creates the weights as fields of `owner` under PyTorch's keys, weight_ih_l0, weight_hh_l0, bias_ih_l0, .. */
  constructor(
    owner: Module,
    step: Step,
    gates: number,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions,
  ) {
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.options = options;
    this.step = step;
    const { numLayers = 1, bias = true, bidirectional = false } = options;
    const bound = 1 / Math.sqrt(hiddenSize);
    const rows = gates * hiddenSize;
    const weight = (...shape: number[]) => param(shape, uniform(-bound, bound));
    const suffixes = bidirectional ? ["", "_reverse"] : [""];
    this.layers = Array.from({ length: numLayers }, (_, layer) =>
      suffixes.map((suffix) => {
        const direction: Direction = {
          inputWeight: weight(rows, layer === 0 ? inputSize : hiddenSize * suffixes.length),
          hiddenWeight: weight(rows, hiddenSize),
          inputBias: bias ? weight(rows) : null,
          hiddenBias: bias ? weight(rows) : null,
        };
        const key = (name: string) => `${name}_l${layer}${suffix}`;
        Object.assign(owner, {
          [key("weight_ih")]: direction.inputWeight,
          [key("weight_hh")]: direction.hiddenWeight,
          [key("bias_ih")]: direction.inputBias,
          [key("bias_hh")]: direction.hiddenBias,
        });
        return direction;
      }),
    );
  }

  /** Output [t, b, directions * hidden] (batch first if so) and the last states [layers * directions, b, hidden]. */
  run(owner: Module, x: Tensor, initial: readonly (Tensor | null)[]): [output: Tensor, states: Tensor[]] {
    const name = owner.constructor.name;
    const { batchFirst = false, dropout: p = 0, generator = defaultGenerator } = this.options;
    if (x.rank !== 3 || x.shape[2] !== this.inputSize)
      throw new ShapeError(
        `${name}: x must be [${batchFirst ? "b, t" : "t, b"}, ${this.inputSize}], it is ${showShape(x.shape)}`,
      );
    let sequence = productOperand(batchFirst ? x.transpose(0, 1) : x);
    const { dtype } = sequence;
    const shape = [this.layers.length * this.layers[0].length, sequence.shape[1], this.hiddenSize];
    const first = initial.map((state) => {
      if (state && !sameShape(state.shape, shape))
        throw new ShapeError(
          `${name}: the initial state must be ${showShape(shape)}, [layers * directions, b, hidden]; it is ${showShape(state.shape)}`,
        );
      return state?.cast(dtype) ?? zeros(shape, { dtype });
    });

    const last: (readonly Tensor[])[] = [];
    this.layers.forEach((directions, layer) => {
      if (layer > 0 && p > 0 && owner.training) sequence = dropout(sequence, p, generator);
      const outputs = directions.map((weights, reverse) => {
        const start = first.map((state) => state.select(0, last.length));
        // The input's share of all steps is one product outside of the loop.
        const inputs = linear(sequence, weights.inputWeight, weights.inputBias);
        // A step is one operation of 16-bit floats: all between the products is f32.
        const widen = (t: Tensor) => (isHalf(t.dtype) ? t.cast("f32") : t);
        const step = (state: readonly Tensor[], input: Tensor) => {
          const next = this.step(state.map(widen), widen(input), weights).map((t) => t.cast(dtype));
          return [next, next[0]] as const;
        };
        const [end, ys] = scan(step, start, inputs, { reverse: reverse === 1 });
        last.push(end);
        return ys;
      });
      sequence = concatenate(outputs, 2);
    });
    const states = first.map((_, i) => stack(last.map((state) => state[i])));
    return [batchFirst ? sequence.transpose(0, 1) : sequence, states];
  }
}

const recurrence = (h: Tensor, { hiddenWeight, hiddenBias }: Direction): Tensor => linear(h, hiddenWeight, hiddenBias);

export interface RNNOptions extends RecurrentOptions {
  readonly nonlinearity?: "tanh" | "relu";
}

/** Elman network: h' = tanh(W x + b + U h + c). */
export class RNN extends Module {
  readonly #stack: Stack;

  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    super();
    const { nonlinearity = "tanh" } = options;
    if (nonlinearity !== "tanh" && nonlinearity !== "relu")
      throw unknownName("nonlinearity", nonlinearity, ["tanh", "relu"]);
    const step: Step = ([h], input, weights) => {
      const sum = input.add(recurrence(h, weights));
      return [nonlinearity === "relu" ? relu(sum) : sum.tanh()];
    };
    this.#stack = new Stack(this, step, 1, inputSize, hiddenSize, options);
  }

  /** x [t, b, in] and h [layers * directions, b, hidden] (default zeros) -> outputs [t, b, directions * hidden], last h. */
  forward(x: Tensor, h: Tensor | null = null): [output: Tensor, h: Tensor] {
    const [output, [last]] = this.#stack.run(this, x, [h]);
    return [output, last];
  }
}

/** Gated recurrent unit (Cho et al. 2014), gates in the order reset, update, new. */
export class GRU extends Module {
  readonly #stack: Stack;

  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super();
    const step: Step = ([h], input, weights) => {
      const [inputReset, inputUpdate, inputNew] = split(input, hiddenSize, -1);
      const [hiddenReset, hiddenUpdate, hiddenNew] = split(recurrence(h, weights), hiddenSize, -1);
      const reset = sigmoid(inputReset.add(hiddenReset));
      const update = sigmoid(inputUpdate.add(hiddenUpdate));
      const fresh = inputNew.add(reset.mul(hiddenNew)).tanh();
      return [fresh.add(update.mul(h.sub(fresh)))];
    };
    this.#stack = new Stack(this, step, 3, inputSize, hiddenSize, options);
  }

  /** x [t, b, in] and h [layers * directions, b, hidden] (default zeros) -> outputs [t, b, directions * hidden], last h. */
  forward(x: Tensor, h: Tensor | null = null): [output: Tensor, h: Tensor] {
    const [output, [last]] = this.#stack.run(this, x, [h]);
    return [output, last];
  }
}

/** Long short-term memory (Hochreiter and Schmidhuber 1997), gates in the order input, forget, cell, output. */
export class LSTM extends Module {
  readonly #stack: Stack;

  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super();
    const step: Step = ([h, c], input, weights) => {
      const [write, forget, content, read] = split(input.add(recurrence(h, weights)), hiddenSize, -1);
      const cell = sigmoid(forget).mul(c).add(sigmoid(write).mul(content.tanh()));
      return [sigmoid(read).mul(cell.tanh()), cell];
    };
    this.#stack = new Stack(this, step, 4, inputSize, hiddenSize, options);
  }

  /** x [t, b, in], h and c [layers * directions, b, hidden] (default zeros) -> outputs [t, b, directions * hidden], last h and c. */
  forward(
    x: Tensor,
    state: readonly [h: Tensor, c: Tensor] | null = null,
  ): [output: Tensor, state: [h: Tensor, c: Tensor]] {
    const [output, [h, c]] = this.#stack.run(this, x, state ?? [null, null]);
    return [output, [h, c]];
  }
}
