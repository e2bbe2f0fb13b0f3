import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadRecipe, recipeNames } from "../../src/cli/recipes.ts";
import { Rng, seedKey } from "../../src/core/rng.ts";
import { findDataset, reportDataset } from "../../src/data/index.ts";
import { writeSafetensors } from "../../src/io/index.ts";
import { createModel } from "../../src/models/index.ts";
import { initialize } from "../../src/nn/index.ts";
import { checkArgs, readRunRecord } from "../../src/train/index.ts";
import { cli } from "../cli/cli.ts";
import { writeStripeFolder, writeStripeIdx } from "../support/pictures.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-recipes-"));
});
after(() => rm(root, { recursive: true }));

test("every file of recipes/ is known by its name, and its smoke size fits its arguments", async () => {
  const folder = fileURLToPath(new URL("../../recipes/", import.meta.url));
  const extension = extname(import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith(extension) && !file.endsWith(".d.ts"));
  assert.deepEqual(files.map((file) => file.slice(0, -extension.length)).sort(), [...recipeNames].sort());
  for (const name of recipeNames) {
    const recipe = await loadRecipe(name);
    assert.doesNotThrow(() => checkArgs(recipe.args, recipe.smoke));
    const { code, out } = await cli("train", name, "--help");
    assert.equal(code, 0);
    for (const arg of Object.values(recipe.args)) assert.ok(out.includes(arg.doc), arg.doc);
  }
});

for (const [recipe, data] of [
  ["mnist-resnet", "mnist"],
  ["cifar10-resnet20", "cifar10"],
] as const)
  test(`${recipe} in smoke size on real images`, async (t) => {
    // Tests fetch nothing: they use what is in the cache.
    if (!(await reportDataset(findDataset(data))).cached)
      return t.skip(`${data} is not in the cache; manabi data ${data} fetches it`);
    const out = join(root, recipe);
    const { code, err } = await cli("train", recipe, "--smoke", "--out", out);
    assert.equal(code, 0, err);
    const { status, step, args } = await readRunRecord(out);
    assert.deepEqual([status, step, args.limit], ["done", 2, 256]);
  });

test("every way to learn from few labels runs", async () => {
  const [data, out] = [join(root, "few"), join(root, "few-labels")];
  await writeStripeIdx(data, 80, 30);
  const words = ["few-labels", "--data", data, "--labels", "20", "--seeds", "1", "--steps", "4", "--batch-size", "8"];
  const { code, err, out: text } = await cli("train", ...words, "--ratio", "1", "--out", out);
  assert.equal(code, 0, err);
  for (const name of ["supervised", "pi-model", "mean-teacher", "fixmatch", "self-training", "co-training"])
    assert.match(text, new RegExp(`\\| ${name}: .* \\| \\d+\\.\\d\\d % \\|`), name);
  const { step, epoch } = await readRunRecord(out);
  assert.deepEqual([step, epoch], [32, 8]);
});

/** A file of weights for mnist_resnet that nobody has trained. */
async function weightsFile(inChannels: number): Promise<string> {
  const path = join(root, `weights-${inChannels}.safetensors`);
  const model = initialize(await createModel("mnist_resnet", { inChannels }), 3);
  const state = await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, await t.host()] as const));
  await writeSafetensors(path, new Map(state));
  return path;
}

test("transfer compares its three modes", async () => {
  const [data, out] = [join(root, "for-transfer"), join(root, "transfer")];
  await writeStripeIdx(data, 60, 30, 16);
  const words = ["--data", data, "--model", "mnist_resnet", "--weights", await weightsFile(1), "--image-size", "16"];
  const { code, err, out: text } = await cli("train", "transfer", "--smoke", ...words, "--out", out);
  assert.equal(code, 0, err);
  for (const mode of ["features", "finetune", "scratch"])
    assert.match(text, new RegExp(`\\| ${mode} \\| \\d+ \\| \\d+\\.\\d \\| \\d+\\.\\d\\d % \\|`), mode);
  const { status, epoch } = await readRunRecord(out);
  assert.deepEqual([status, epoch], ["done", 4]);
});

test("a classifier that began with weights predicts from its checkpoint alone", async () => {
  const [data, out] = [join(root, "pictures"), join(root, "from-weights")];
  await writeStripeFolder(data, 10);
  const start = ["--data", data, "--model", "mnist_resnet", "--weights", await weightsFile(3), "--image-size", "16"];
  const trained = await cli("train", ...start, "--mode", "features", "--epochs", "4", "--out", out);
  assert.equal(trained.code, 0, trained.err);
  const { code, err, out: text } = await cli("predict", out, join(data, "down", "0.png"), "--json");
  assert.equal(code, 0, err);
  assert.ok(text.includes("down") && text.includes("slanted"), text);
  // Its checkpoint is a file of weights for the next training.
  const best = join(out, "checkpoints", "best.safetensors");
  const next = ["--data", data, "--model", "mnist_resnet", "--weights", best, "--epochs", "1"];
  const again = await cli("train", ...next, "--freeze", "conv1,bn1", "--out", join(root, "again"));
  assert.equal(again.code, 0, again.err);
});

test("options of transfer that contradict each other are refused before a run is made", async () => {
  const data = join(root, "refused");
  await writeStripeFolder(data, 4);
  const refused = async (...words: string[]) => (await cli("train", "--data", data, ...words)).err;
  assert.match(await refused("--mode", "features"), /--mode features starts from weights; give some with --weights/);
  assert.match(await refused("--freeze", "conv1"), /--freeze and --unfreeze are for --mode finetune; this is scratch/);
  assert.match(await refused("--model", "vgg16", "--weights", "imagenet"), /no published weights of vgg16/);
  assert.match(await refused("--weights", "no.pth"), /no\.pth: there is no such file/);
  const weights = ["--weights", await weightsFile(3), "--model", "mnist_resnet"];
  assert.match(await refused(...weights, "--freeze", "layr1"), /unknown part of ResNet "layr1"; did you mean layer1/);
});

test("FixMatch learns from one label per class", async () => {
  const [data, out] = [join(root, "stripes"), join(root, "fixmatch")];
  await writeStripeIdx(data, 240, 60);
  const words = ["--data", data, "--labels", "10", "--seeds", "1", "--steps", "60", "--method", "fixmatch"];
  const { code, err } = await cli("train", "few-labels", ...words, "--batch-size", "10", "--out", out);
  assert.equal(code, 0, err);
  const { best } = await readRunRecord(out);
  assert.ok(best && best.value > 0.9, `accuracy ${best?.value}`);
});

for (const precision of ["bf16", "f16"])
  test(`mnist-resnet learns under autocast to ${precision}`, async () => {
    const [data, out] = [join(root, `idx-${precision}`), join(root, precision)];
    await writeStripeIdx(data, 240, 60);
    const args = ["--data", data, "--batch-size", "24", "--epochs", "6", "--shift", "0"];
    const { code, err } = await cli("train", "mnist-resnet", ...args, "--autocast", precision, "--out", out);
    assert.equal(code, 0, err);
    const { best, args: used } = await readRunRecord(out);
    assert.equal(used.autocast, precision);
    assert.ok(best && best.value > 0.9, `accuracy ${best?.value}`);
  });

test("a recipe in a file of its own is trained, stopped and resumed", async () => {
  await writeStripeIdx(join(root, "idx"), 96, 30);
  const index = new URL(`../../src/train/index${extname(import.meta.url)}`, import.meta.url);
  const file = join(root, "count.mjs");
  await writeFile(
    file,
    `import { int, recipe } from ${JSON.stringify(index.href)};
    export default recipe({
      title: "Counting",
      args: { to: int(3, "how far") },
      smoke: { to: 1 },
      async run({ to }, run) {
        await run.begin({});
        while (run.step < to) {
          run.log({ step: run.step + 1, loss: 1 });
          if (run.step === 2 && !run.resumed) run.stop();
          await run.checkpointIfDue();
        }
      },
    });`,
  );
  const out = join(root, "count");
  const stopped = await cli("train", file, "--to", "5", "--out", out);
  assert.equal(stopped.code, 130);
  assert.match(stopped.err, /to go on: manabi train .*count\.mjs --resume/);
  const { code, err } = await cli("train", "--resume", out);
  assert.equal(code, 0, err);
  assert.equal((await readRunRecord(out)).step, 5);
  const wrong = await cli("train", "mnist-resnet", "--resume", out);
  assert.match(wrong.err, /is a run of .*count\.mjs, not of mnist-resnet/);
});

test("a table is learned by a forest and a network, and the column that decides matters most to both", async () => {
  const [data, out] = [join(root, "rows.json"), join(root, "table")];
  const rng = new Rng(seedKey(4));
  const rows = Array.from({ length: 80 }, () => {
    const [size, noise] = [rng.uniform(0, 10), rng.uniform(0, 10)];
    return { size, noise, colour: rng.chance(0.5) ? "red" : "blue", kind: size > 5 ? "large" : "small" };
  });
  await writeFile(data, JSON.stringify(rows));
  const words = ["--data", data, "--target", "kind", "--trees", "5", "--steps", "60", "--background", "8"];
  const { code, err } = await cli("train", "explain-table", ...words, "--lime-rows", "3", "--out", out);
  assert.equal(code, 0, err);
  const { best } = await readRunRecord(out);
  assert.ok(best && best.value > 0.8, `accuracy ${best?.value}`);
  const report = await readFile(join(out, "report.html"), "utf8");
  const [, table = ""] = /Which columns matter<\/h2>[\s\S]*?<tbody>([\s\S]*?)<\/tbody>/.exec(report) ?? [];
  const shares = [...table.matchAll(/<tr><th scope="row">(\w+)<\/th>(.*?)<\/tr>/g)].map(([, name, cells]) => {
    return [name, ...[...cells.matchAll(/([\d.]+) %/g)].map(([, share]) => Number(share))] as const;
  });
  assert.deepEqual([shares.length, shares[0]?.[0]], [3, "size"]);
  for (let method = 1; method <= 4; method++)
    assert.equal(Math.max(...shares.map((row) => Number(row[method]))), shares[0][method], table);
});

test("reviews are learned and explained word by word", async () => {
  const [data, out] = [join(root, "reviews.json"), join(root, "reviews")];
  const rng = new Rng(seedKey(2));
  const filler = ["the", "film", "has", "an", "actor", "and", "music", "that", "everybody", "knows", "about"];
  const reviews = Array.from({ length: 300 }, (_, i) => {
    const words = Array.from({ length: 40 }, () => filler[rng.int(filler.length)]);
    words.splice(rng.int(30), 0, i % 2 ? "superb" : "dreadful");
    return { t: `${words.join(" ")} ${i}`, s: i % 2 };
  });
  await writeFile(data, JSON.stringify(reviews));
  const words = [
    "--data",
    data,
    "--smoke",
    "--limit",
    "0",
    "--epochs",
    "20",
    "--review",
    "A superb film, not dreadful",
  ];
  const { code, err } = await cli("train", "explain-reviews", ...words, "--out", out);
  assert.equal(code, 0, err);
  const { best } = await readRunRecord(out);
  assert.ok(best && best.value > 0.95, `accuracy ${best?.value}`);
  const report = await readFile(join(out, "report.html"), "utf8");
  const valueAt = (word: string) => Number(new RegExp(`title="([^"]+)">${word}<`).exec(report)?.[1].replace("−", "-"));
  assert.ok(valueAt("superb") > 0 && valueAt("dreadful") < 0, report.slice(report.indexOf('class="words"'), 4000));
  assert.match(report, /Taken for positive, and it is/);
});
