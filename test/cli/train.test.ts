import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import sharp from "sharp";
import { seedKey } from "../../src/core/rng.ts";
import { applyTransforms, decodeImage } from "../../src/data/index.ts";
import { softmax, tensor } from "../../src/index.ts";
import { loadOnnx } from "../../src/onnx/index.ts";
import { readMetrics, readRunRecord } from "../../src/train/index.ts";
import { stripeClasses, writeStripeFolder, writeStripeIdx } from "../support/pictures.ts";
import { type CliResult, cli } from "./cli.ts";

let root: string;
let idx: string;
let folder: string;
let run: string;
let trained: CliResult;

before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-cli-"));
  [idx, folder, run] = ["idx", "stripes", "run"].map((name) => join(root, name));
  await writeStripeIdx(idx, 96, 30);
  await writeStripeFolder(folder, 10);
  trained = await cli(
    "train",
    "mnist-resnet",
    "--data",
    idx,
    "--epochs",
    "3",
    "--batch-size",
    "16",
    ...onReference,
    "--out",
    run,
  );
});
after(() => rm(root, { recursive: true }));

const onReference = ["--backend", "reference"];
const small = ["--model", "mnist_resnet", "--image-size", "16", "--batch-size", "8", "--epochs", "1", ...onReference];

test("a recipe is trained, measured, used, listed and compared", async (t) => {
  await t.test("train", async () => {
    assert.equal(trained.code, 0, trained.err);
    assert.match(trained.out, /^test accuracy \d+\.\d\d\u00a0%.*\n3 epochs in 0:\d\d\nreport: .*report\.html\n$/);
    const { status, step, epoch, best, args } = await readRunRecord(run);
    assert.deepEqual([status, step, epoch, args.batchSize], ["done", 18, 3, 16]);
    assert.ok(best && best.value > 0.6, `accuracy ${best?.value}`);
    const metrics = await readMetrics(join(run, "metrics.jsonl"));
    assert.equal(metrics.filter(({ values }) => "loss" in values && "lr" in values).length, 18);
    const report = await readFile(join(run, "report.html"), "utf8");
    for (const part of ["Confusion matrix", "Scores by class", "Samples", "layer3.0.downsample.1", "of 30 test images"])
      assert.ok(report.includes(part), part);
  });
  await t.test("eval, from the run and from the checkpoint alone", async () => {
    const { best } = await readRunRecord(run);
    const text = await cli("eval", run, ...onReference);
    assert.equal(text.code, 0, text.err);
    assert.match(text.out, /on 30 images\naccuracy \d+\.\d\d %, loss /);
    const file = join(run, "checkpoints", "best.safetensors");
    const json = JSON.parse((await cli("eval", file, "--json", ...onReference)).out);
    assert.deepEqual([json.accuracy, json.images, json.classes.length], [best?.value, 30, 3]);
  });
  await t.test("predict on files, folders and patterns", async () => {
    const first = join(folder, stripeClasses[0], "0.png");
    const one = await cli("predict", run, first, "--top", "2", ...onReference);
    assert.match(one.out, /0\.png: [012] \d+\.\d\d %, [012] \d+\.\d\d %\n$/);
    const many = await cli("predict", run, folder, join(folder, "**", "[0-3].png"), "--json", ...onReference);
    const results: { path: string; predictions: { label: string; probability: number }[] }[] = JSON.parse(many.out);
    assert.equal(results.length, 30);
    for (const { predictions } of results) {
      const sum = predictions.reduce((a, { probability }) => a + probability, 0);
      assert.ok(Math.abs(sum - 1) < 1e-6 && predictions[0].probability >= predictions[1].probability);
    }
    const alone = JSON.parse((await cli("predict", run, first, "--json", ...onReference)).out);
    assert.deepEqual(alone[0].predictions[0].label, results.find(({ path }) => path === first)?.predictions[0].label);
  });
  await t.test("export, and the file gives what predict gives", async () => {
    const [file, picture] = [join(root, "model.onnx"), join(folder, stripeClasses[0], "0.png")];
    const { out, err } = await cli("export", run, "--onnx", file, "--json");
    assert.equal(err, "");
    assert.deepEqual(JSON.parse(out).outputs, [{ name: "logits", dtype: "f32", shape: ["batch", 3] }]);
    const model = loadOnnx(await readFile(file));
    assert.deepEqual(JSON.parse(model.metadata.classes), ["0", "1", "2"]);
    const { shape, data } = applyTransforms(
      JSON.parse(model.metadata.preprocessing),
      await decodeImage(picture),
      seedKey(0),
    );
    const { logits } = model.run({ input: tensor(data, [1, ...shape]) });
    const [{ predictions }] = JSON.parse((await cli("predict", run, picture, "--json", ...onReference)).out);
    const probabilities = await softmax(logits, -1).data();
    for (const { label, probability } of predictions)
      assert.ok(Math.abs(probabilities[Number(label)] - probability) < 1e-4, label);
    const unknown = await cli("export", "resnet50.keras", "--onnx", "x.onnx");
    assert.match(unknown.err, /unknown run, checkpoint or model "resnet50\.keras"; did you mean resnet50\.keras_in1k/);
    const fixed = await cli("export", run, "--onnx", file, "--batch", "4");
    assert.match(fixed.out, /model\.onnx: \d+ kB, input f32\[4, 1, 8, 8\] -> logits f32\[4, 3\]/);
  });
  await t.test("runs", async () => {
    const list = await cli("runs", "--root", root);
    assert.match(list.out, /^run +status +started .*\n.*run +done .*3 +test\/accuracy 0\.\d+/s);
    const other = join(root, "other");
    await cli(
      "train",
      "mnist-resnet",
      "--data",
      idx,
      "--epochs",
      "1",
      "--batch-size",
      "32",
      ...onReference,
      "--out",
      other,
    );
    const compared = await cli("runs", "run", "other", "--root", root);
    assert.match(compared.out, /batchSize +16 +32\n/);
    const json = JSON.parse((await cli("runs", run, other, "--json")).out);
    assert.deepEqual(json.args[0], { name: "epochs", values: [3, 1] });
    const wrong = await cli("runs", "othr", "--root", root);
    assert.deepEqual(
      [wrong.code, wrong.err],
      [1, "error: othr is no run folder: it has no run.json; did you mean other?\n"],
    );
  });
});

test("a folder of pictures, with one that does not decode", async (t) => {
  const photos = join(root, "photos");
  await writeStripeFolder(photos, 6);
  const bad = join(photos, "down", "bad.png");
  await writeFile(bad, "no picture");
  await t.test("is reported by path and left out", async () => {
    const out = join(root, "skipping");
    const { code, err } = await cli(
      "train",
      "--data",
      photos,
      ...small,
      "--balance",
      "--mix",
      "both",
      "--augment",
      "strong",
      "--out",
      out,
    );
    assert.equal(code, 0, err);
    assert.equal(err.match(new RegExp(`skipped ${bad}: cannot be decoded`, "g"))?.length, 1);
    const names = JSON.parse((await cli("predict", out, join(photos, "across"), "--json", ...onReference)).out);
    assert.ok(stripeClasses.includes(names[0].predictions[0].label));
    const { err: again } = await cli("eval", out, "--data", photos, ...onReference);
    assert.match(again, /skipped .*bad.png/);
  });
  await t.test("or ends the run", async () => {
    const { code, err } = await cli(
      "train",
      "--data",
      photos,
      ...small,
      "--on-error",
      "throw",
      "--out",
      join(root, "throwing"),
    );
    assert.deepEqual([code, err.includes(`${bad}: cannot be decoded`)], [1, true]);
  });
});

test("wrong words are told with the nearest right ones, with exit code 2 and nothing made", async () => {
  const out = join(root, "nothing");
  const cases: [words: string[], message: RegExp][] = [
    [["trian"], /unknown command 'trian'\n\(Did you mean train\?\)/],
    [["train", "mnist-resne"], /unknown recipe "mnist-resne"; did you mean mnist-resnet\?/],
    [["train", "mnist-resnet", "--epoch", "3"], /unknown option "--epoch"; did you mean --epochs\?/],
    [["train", "mnist-resnet", "--epochs", "0"], /--epochs: 0 is out of range \(at least 1\)/],
    [
      ["train", "--data", folder, "--model", "resnet81"],
      /--model: "resnet81" is not one of them; did you mean .*resnet18/,
    ],
    [["train", "--epochs", "1", "mnist-resnet"], /the recipe comes first: manabi train mnist-resnet/],
    [["train"], /say what to train/],
    [["train", "./my-recipe.ts"], /my-recipe.ts: there is no such file/],
    [
      ["train", "mnist-resnet", "--backend", "gpu"],
      /argument 'gpu' is invalid. Allowed choices are auto, native, wasm, webgpu, reference/,
    ],
    [["train", "mnist-resnet", "--threads", "many"], /--threads is "many"; give a whole number/],
    [["train", "--resume", run, "--lr", "1"], /a resumed run keeps its arguments/],
    [["models", "resnet81"], /unknown model "resnet81"; did you mean .*resnet18/],
    [["predict", run], /give a run and images, or --model and images/],
    [["export", run], /say which file to write: --onnx <file>/],
    [["export", run, "--onnx", "x.onnx", "--batch", "0"], /--batch is "0"; give a whole number/],
    [["eval"], /missing required argument 'run'/],
    [["doctor", "--jsno"], /unknown option '--jsno'\n\(Did you mean --json\?\)/],
  ];
  for (const [words, message] of cases) {
    const { code, err } = await cli(...words, ...(words[0] === "train" && words.length > 1 ? ["--out", out] : []));
    assert.match(err, message, words.join(" "));
    assert.equal(code, 2, words.join(" "));
    assert.doesNotMatch(err, /\n {4}at /);
  }
  assert.ok(!existsSync(out));
});

test("data that cannot be learned from is refused before a run is made", async () => {
  const out = join(root, "refused");
  const empty = join(root, "empty");
  await writeStripeFolder(empty, 1);
  await mkdir(join(empty, "nothing"));
  for (const [data, message] of [
    [empty, /nothing: the class folder holds no images/],
    [join(folder, "down"), /no class folders; 10 images lie directly in it/],
    ["mnits", /"mnits" is neither a folder nor a known data set; did you mean mnist\?/],
  ] as const) {
    const { code, err } = await cli("train", "--data", data, ...small, "--out", out);
    assert.match(err, message);
    assert.equal(code, 1);
  }
  assert.ok(!existsSync(out));
});

test("what is no trained model, or no picture, is refused by name", async () => {
  const bare = join(root, "bare");
  await mkdir(join(bare, "checkpoints"), { recursive: true });
  await writeFile(join(bare, "run.json"), JSON.stringify({ ...(await readRunRecord(run)), status: "interrupted" }));
  const corrupt = join(root, "corrupt.safetensors");
  const bytes = await readFile(join(run, "checkpoints", "best.safetensors"));
  bytes[bytes.length - 5] ^= 1;
  await writeFile(corrupt, bytes);
  const short = join(root, "short.safetensors");
  await writeFile(short, bytes);
  await truncate(short, 5000);
  const text = join(root, "letter.png");
  await writeFile(text, "Dear reader,");
  const picture = join(folder, "down", "0.png");
  for (const [words, message] of [
    [
      ["eval", bare],
      /has no checkpoint yet; one is saved at the end of each epoch: manabi train mnist-resnet --resume/,
    ],
    [["predict", corrupt, picture], /corrupt.safetensors: the checkpoint is corrupt/],
    [["predict", short, picture], /short.safetensors: /],
    [["eval", join(root, "none")], /none is no run folder/],
    [["predict", run, text], /skipped .*letter.png: cannot be decoded/],
    [["predict", run, text, "--on-error", "throw"], /error: .*letter.png: cannot be decoded/],
    [
      ["predict", "--model", "resnet50.keras", picture],
      /unknown weights "resnet50.keras"; did you mean resnet50.keras_in1k/,
    ],
    [["predict", run, join(root, "none.png")], /none.png: there is no such file/],
    [["predict", text, picture], /letter.png: /],
    [["eval", run, "--data", folder], /the data has classes across, down, slanted; the model knows 0, 1, 2/],
  ] as const) {
    const { code, err } = await cli(...words, ...onReference);
    assert.match(err, message);
    assert.equal(code, 1, words.join(" "));
    assert.doesNotMatch(err, /\n {4}at /);
  }
  const { err } = await cli("eval", join(root, "none"), "--debug");
  assert.match(err, /\n {4}at /);
});

test("an output folder that cannot be written", { skip: process.platform !== "linux" }, async () => {
  const { code, err } = await cli("train", "mnist-resnet", "--data", idx, ...onReference, "--out", "/proc/none/run");
  assert.match(err, /error: cannot write \/proc\/none/);
  assert.equal(code, 1);
});

test("a loss that is not finite stops the run and keeps the last good checkpoint", async () => {
  const out = join(root, "diverged");
  const words = ["train", "mnist-resnet", "--data", idx, "--lr", "1e37", "--batch-size", "16", "--save-every", "1"];
  const { code, err } = await cli(...words, ...onReference, "--out", out);
  assert.match(
    err,
    /error: step \d+: loss is (NaN|Infinity|inf); the last good checkpoint is .*step-00000000\d\.safetensors/,
  );
  assert.equal(code, 1);
  assert.equal((await readRunRecord(out)).status, "failed");
  assert.ok((await readdir(join(out, "checkpoints"))).length > 0);
});

test("for programs there is JSON alone on stdout", async () => {
  const out = join(root, "json");
  const { code, out: text } = await cli(
    "train",
    "mnist-resnet",
    "--data",
    idx,
    "--epochs",
    "1",
    ...onReference,
    "--json",
    "--out",
    out,
  );
  assert.equal(code, 0);
  const events = text
    .trimEnd()
    .split("\n")
    .map((line): { event: string } => JSON.parse(line));
  assert.deepEqual([events[0].event, events.at(-1)?.event], ["start", "end"]);
  for (const words of [["models", "resnet18"], ["data"], ["doctor"], ["runs", "--root", root]])
    assert.equal(typeof JSON.parse((await cli(...words, "--json")).out), "object", words.join(" "));
});

test("data writes a contact sheet of a folder", async () => {
  const sheet = join(root, "sheet.png");
  const { code, out } = await cli("data", folder, "--out", sheet);
  assert.equal(code, 0);
  assert.match(out, /across +8 +2\n/);
  const { width, height } = await sharp(sheet).metadata();
  assert.deepEqual([width, height], [16 * 18 + 2, 3 * 18 + 2]);
});
