import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import sharp from "sharp";
import type { WrittenExplanations } from "../../src/cli/explanations.ts";
import { imageMethodNames } from "../../src/explain/image-methods.ts";
import { readSafetensors } from "../../src/io/index.ts";
import { writeStripeFolder, writeStripeIdx } from "../support/pictures.ts";
import { cli } from "./cli.ts";
import { mainWords } from "./main-words.ts";

let root: string;
let run: string;
let picture: string;
const onReference = ["--backend", "reference"];

before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-explain-"));
  run = join(root, "run");
  const idx = join(root, "idx");
  await writeStripeIdx(idx, 48, 12, 16);
  await writeStripeFolder(join(root, "stripes"), 2);
  picture = join(root, "stripes", "down", "0.png");
  const words = ["mnist-resnet", "--data", idx, "--epochs", "1", "--batch-size", "16", "--out", run];
  const { code, err } = await cli("train", ...words);
  assert.equal(code, 0, err);
});
after(() => rm(root, { recursive: true }));

const explanation = async (folder: string): Promise<WrittenExplanations> =>
  JSON.parse(await readFile(join(folder, "explanation.json"), "utf8"));

test("all methods and two classes side by side: pictures, maps, JSON and a page", async () => {
  const out = join(root, "all");
  const words = [
    run,
    picture,
    "--method",
    "all",
    "--class",
    "1",
    "--class",
    "2",
    "--samples",
    "70",
    "--out",
    out,
    ...onReference,
  ];
  const { code, out: text, err } = await cli("explain", ...words);
  assert.equal(code, 0, err);
  assert.match(text, /0\.png: 1 \d+\.\d\d %, gradcam in \d+\.\d s: .*0-1-gradcam\.png\n/);
  assert.match(text, /page: .*index\.html\n$/);
  const { model, pictures } = await explanation(out);
  assert.deepEqual([model, pictures.length, pictures[0].path], [run, 1, picture]);
  const [{ predictions, classes }] = pictures;
  assert.equal(predictions.length, 3);
  assert.deepEqual(
    classes.map(({ label, index }) => [label, index]),
    [
      ["1", 1],
      ["2", 2],
    ],
  );
  const maps = await readSafetensors(join(out, "maps.safetensors"));
  for (const { methods, chance } of classes) {
    assert.deepEqual(
      methods.map(({ name }) => name),
      imageMethodNames,
    );
    assert.equal(chance, null);
    for (const { file, map, facts, curves, seconds } of methods) {
      const { width, height, channels } = await sharp(join(out, file)).metadata();
      assert.deepEqual([width, height, channels], [16, 16, 3], file);
      assert.deepEqual(maps.get(map)?.shape, [16, 16]);
      assert.ok(seconds >= 0 && curves === null);
      if (file.endsWith("lime.png")) assert.ok(Number(facts["R²"]) <= 1 && Number(facts.superpixels) > 1);
      if (file.endsWith("-shap.png") && !/gradient/.test(file)) assert.ok(Number(facts["additivity error"]) < 1e-3);
    }
  }
  const page = await readFile(join(out, "index.html"), "utf8");
  for (const part of ["Grad-CAM++", "Ribeiro et al. 2016", "data:image/png", "R²", "Why "])
    assert.ok(page.includes(part), part);
  assert.doesNotMatch(page, /<script|https?:/);
});

test("trust adds curves and what random weights do to the maps", async () => {
  const out = join(root, "trust");
  const words = [run, picture, "--method", "gradcam,occlusion", "--trust", "--json", "--out", out];
  const { code, out: text, err } = await cli("explain", ...words);
  assert.equal(code, 0, err);
  const written: WrittenExplanations = JSON.parse(text);
  assert.deepEqual(written, await explanation(out));
  const [{ chance, methods }] = written.pictures[0].classes;
  assert.ok(chance && chance.deletion.scores.length === 32);
  for (const { curves, randomization } of methods) {
    assert.ok(curves && curves.insertion.area > 0 && curves.insertion.area < 1);
    // The whole picture is where one curve begins and the other ends.
    assert.ok(Math.abs(curves.deletion.scores[0] - curves.insertion.scores[31]) < 1e-5);
    assert.ok(randomization && randomization.steps.length > 3);
    assert.ok(["changes", "partly", "hardly changes"].includes(randomization.verdict));
  }
  const page = await readFile(join(out, "index.html"), "utf8");
  for (const part of ["deletion by chance", "random weights", methods[0].randomization?.steps[0].stage ?? "?"])
    assert.ok(page.includes(part), part);
});

test("pictures of one name do not overwrite each other, and one that is none is skipped", async () => {
  const bad = join(root, "bad.png");
  await writeFile(bad, "no picture");
  const other = join(root, "stripes", "across", "0.png");
  const out = join(root, "same");
  const { code, err } = await cli("explain", run, picture, bad, other, "--out", out, ...onReference);
  assert.equal(code, 1);
  assert.match(err, /skipped .*bad\.png: cannot be decoded/);
  const names = (await readdir(out)).filter((name) => name.endsWith(".png"));
  assert.equal(names.length, 2);
  assert.ok(names.some((name) => name.startsWith("0-2-")));
});

test("Ctrl-C writes what is finished and exits with 130", { skip: process.platform === "win32" }, async (t) => {
  const out = join(root, "stopped");
  const words = [...mainWords, "explain", run, picture, "--method", "gradcam,lime", "--samples", "20000"];
  const child = spawn(process.execPath, [...words, ...onReference, "--out", out], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
    if (/: lime\n$/.test(text)) child.kill("SIGINT");
  });
  const code = await new Promise((done) => child.on("close", done));
  assert.equal(code, 130, text);
  assert.match(text, /stopping; what is finished is written/);
  const { methods } = (await explanation(out)).pictures[0].classes[0];
  assert.deepEqual(
    methods.map(({ name }) => name),
    ["gradcam"],
  );
  assert.ok(existsSync(join(out, "index.html")));
});

test("what cannot be asked is told with what can, and nothing is written", async () => {
  const out = join(root, "nothing");
  const asked = [run, picture, ...onReference, "--out", out];
  for (const [words, message, code] of [
    [["--method", "grad-cam"], /unknown method "grad-cam"; did you mean gradcam/, 2],
    [["--class", "cat"], /unknown class "cat"; known: 0, 1, 2/, 1],
    [["--class", "7"], /unknown class 7; the model has 3 classes \(0 to 2\)/, 1],
    [["--layer", "layer9"], /unknown layer of ResNet "layer9"; did you mean layer1, layer2, layer3/, 1],
    [["--layer", "fc"], /the output of fc is \[1,3\], which is no map over the image; layers with one: /, 1],
    [["--samples", "none"], /--samples is "none"; give a whole number/, 2],
    [["--superpixels", "squares"], /Allowed choices are slic, quickshift, felzenszwalb/, 2],
    [["--method", "lime", "--samples", "2"], /samples/, 1],
  ] as const) {
    const { code: found, err } = await cli("explain", ...asked, ...words);
    assert.match(err, message);
    assert.equal(found, code, words.join(" "));
    assert.doesNotMatch(err, /\n {4}at /);
  }
  const plain = join(root, "plain.png");
  const create = { width: 20, height: 20, channels: 3, background: "#888" } as const;
  await sharp({ create }).png().toFile(plain);
  for (const method of ["lime", "shap"]) {
    const words = [run, plain, "--method", method, "--superpixels", "felzenszwalb", ...onReference, "--out", out];
    const { code, err } = await cli("explain", ...words);
    assert.deepEqual([code, /the image is one (segment|region)/.test(err)], [1, true], err);
  }
  // What was finished before an error is kept.
  const kept = join(root, "kept");
  const late = [run, picture, plain, "--method", "lime", "--superpixels", "felzenszwalb", "--samples", "100"];
  assert.equal((await cli("explain", ...late, ...onReference, "--out", kept)).code, 1);
  assert.equal((await explanation(kept)).pictures.length, 1);
  const missing = await cli("explain", run, join(root, "none.png"), ...onReference);
  assert.match(missing.err, /none\.png: there is no such file/);
  const none = await cli("explain", run);
  assert.deepEqual([none.code, /give a run and images, or --model and images/.test(none.err)], [2, true]);
  assert.ok(!existsSync(out));
});
