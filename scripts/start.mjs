// npm start [-- options]: sets up, builds, and trains a small ResNet on MNIST; options go to `manabi train mnist-resnet`.
import { argv } from "node:process";
import { node } from "./setup.mjs";

node("scripts/build.mjs");
node("dist/src/cli/main.js", "train", "mnist-resnet", ...argv.slice(2));
