import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { writeStripeIdx } from "../support/pictures.ts";
import { survivesKills } from "./kill.ts";

test("killed twenty times, a run on the fastest backend here ends with the same bytes", async (t) => {
  const idx = await mkdtemp(join(tmpdir(), "manabi-resume-"));
  t.after(() => rm(idx, { recursive: true }));
  await writeStripeIdx(idx, 960, 60, 12);
  const words = ["mnist-resnet", "--data", idx, "--batch-size", "16", "--epochs", "150", "--save-every", "25"];
  await survivesKills(t, words, 20, 1000);
});
