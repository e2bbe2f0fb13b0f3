import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeSafetensors } from "../../src/io/index.ts";
import { createModel } from "../../src/models/index.ts";
import { initialize } from "../../src/nn/index.ts";
import { writeStripeFolder, writeStripeIdx } from "../support/pictures.ts";
import { survivesKills } from "./kill.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-resume-"));
  await writeStripeIdx(join(root, "idx"), 96, 30);
  await writeStripeFolder(join(root, "stripes"), 10);
});
after(() => rm(root, { recursive: true }));

const session = ["--save-every", "2", "--backend", "reference"];

test("killed four times, mnist-resnet ends with the same bytes", (t) =>
  survivesKills(
    t,
    ["mnist-resnet", "--data", join(root, "idx"), "--batch-size", "16", "--epochs", "4", ...session],
    4,
    600,
  ));

test("killed twice, a classifier of a folder ends with the same bytes, in f16, with worker threads and mixed images", (t) => {
  const model = ["--model", "mnist_resnet", "--image-size", "16", "--batch-size", "8", "--epochs", "3"];
  return survivesKills(
    t,
    [
      "--data",
      join(root, "stripes"),
      ...model,
      "--mix",
      "both",
      "--augment",
      "strong",
      "--autocast",
      "f16",
      ...session,
    ],
    2,
    600,
  );
});

/** A file of weights for a small model. */
async function weightsFile(): Promise<string> {
  const path = join(root, "weights.safetensors");
  const model = initialize(await createModel("mnist_resnet", { inChannels: 3, numClasses: 5 }), 3);
  const state = await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, await t.host()] as const));
  await writeSafetensors(path, new Map(state));
  return path;
}

for (const [title, words] of [
  ["the head on kept features", ["--mode", "features"]],
  ["the head through the frozen model", ["--mode", "features", "--augment", "light"]],
  [
    "one stage more every epoch",
    ["--mode", "finetune", "--unfreeze", "1", "--freeze", "conv1", "--optimizer", "adamw"],
  ],
] as const)
  test(`killed twice, a transfer that trains ${title} ends with the same bytes`, async (t) => {
    const model = ["--model", "mnist_resnet", "--image-size", "16", "--batch-size", "8", "--epochs", "4"];
    const start = ["--data", join(root, "stripes"), "--weights", await weightsFile()];
    return survivesKills(t, [...start, ...model, ...words, ...session], 2, 300);
  });
