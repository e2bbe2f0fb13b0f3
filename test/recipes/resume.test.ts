import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
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
