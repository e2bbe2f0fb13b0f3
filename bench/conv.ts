import { Tensor } from "manabi";
import {
  type ConvAttrs,
  conv,
  convInputGrad as inputGrad,
  convWeightGrad as weightGrad,
} from "../src/primitives/contract.ts";

interface Options {
  readonly stride: number;
  readonly padding: number;
}

const attrs = ({ stride, padding }: Options): ConvAttrs => ({
  stride: [stride, stride],
  padding: [
    [padding, padding],
    [padding, padding],
  ],
  dilation: [1, 1],
  groups: 1,
});

// The three members of the convolution triple by themselves, which the public API has only through gradients.
export const conv2d = (x: Tensor, w: Tensor, options: Options): Tensor =>
  new Tensor(conv(x.node, w.node, attrs(options)));
export const convInputGrad = (y: Tensor, w: Tensor, spatial: readonly number[], options: Options): Tensor =>
  new Tensor(inputGrad(y.node, w.node, { ...attrs(options), spatial }));
export const convWeightGrad = (x: Tensor, y: Tensor, kernel: readonly number[], options: Options): Tensor =>
  new Tensor(weightGrad(x.node, y.node, { ...attrs(options), kernel }));
