import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { backendStatus } from "../../src/backends/select.ts";
import { writeStripeFolder, writeStripeIdx } from "../support/pictures.ts";
import { cli } from "./cli.ts";

const skip = backendStatus().some(({ name, works }) => name === "native" && works) ? false : "no C compiler";
const folder = process.cwd();
let root: string;

/** A package where the user's project would have the real one; slower than anything, and unable to multiply batches. */
async function writeFakePeer(): Promise<void> {
  const folder = join(root, "node_modules", "@jax-js", "jax");
  await mkdir(folder, { recursive: true });
  const manifest = { name: "@jax-js/jax", version: "9.8.7", type: "module", exports: "./index.js" };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await writeFile(
    join(folder, "index.js"),
    `console.log("a greeting on stdout");
    class A {
      get ref() { return this; }
      reshape(shape) { if (shape.length > 2) throw new Error("two axes at most"); return this; }
      async blockUntilReady() {}
      dispose() {}
    }
    const wait = () => { const end = performance.now() + 20; while (performance.now() < end); };
    export const init = async () => {}, defaultDevice = () => {};
    export const numpy = { array: () => new A(), matmul: () => { wait(); return new A(); } };`,
  );
}

before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-bench-"));
  await writeFakePeer();
  await writeStripeIdx(join(root, "idx"), 256, 30);
  await writeStripeFolder(join(root, "photos"), 8);
  process.chdir(root);
});
after(async () => {
  process.chdir(folder);
  await rm(root, { recursive: true });
});

test("a peer from the user's project is timed beside us, with what it cannot do", { skip }, async () => {
  const words = ["bench", "GEMM 512x768x768", "GEMM 12x512x64x512", "--peer", "jax-js", "--rounds", "2"];
  const { code, out, err } = await cli(...words, "--threads", "1", "--json");
  assert.equal(code, 0, err);
  const { rows, versions, threads, means } = JSON.parse(out);
  assert.deepEqual([threads, versions.peers["jax-js"], means], [1, "@jax-js/jax 9.8.7, WebAssembly", []]);
  const [first, second] = rows;
  assert.ok(first.peers["jax-js"] >= 0.02 && first.ours > 0 && first.gflops > 0);
  assert.deepEqual([second.peers["jax-js"], second.unable["jax-js"]], [null, "two axes at most"]);
  const text = await cli(...words, "--threads", "1");
  assert.match(text.out, /^work +ours +jax-js +ratio +GFLOP\/s\nGEMM 512x768x768 +\S+ m?u?s +\S+ ms +\d\.\d\d +\d+\n/);
  assert.match(text.out, /jax-js: two axes at most \(GEMM 12x512x64x512\)\n/);
  assert.ok(!existsSync(join(root, "bench")), "results are kept where the package is developed only");
});

test("the native backend is a peer of the others", { skip }, async () => {
  const words = ["bench", "mlp", "--peer", "native", "--rounds", "2", "--threads", "1", "--json"];
  const { code, out, err } = await cli(...words);
  assert.equal(code, 0, err);
  const { backend, rows, versions } = JSON.parse(out);
  assert.deepEqual([backend, versions.peers.native], ["native", "manabi, native"]);
  assert.ok(rows[0].peers.native > 0 && rows[0].unable.native === undefined);
});

test("the works are listed", async () => {
  const { out } = await cli("bench", "train", "--list");
  assert.match(out, /^train +MLP 784-64-10 train step, b32\n/);
  assert.equal(JSON.parse((await cli("bench", "--list", "--json")).out).length, 126);
});

test("wrong words are told with the nearest right ones", async () => {
  const cases: [words: string[], code: number, message: RegExp][] = [
    [["bench", "gemn"], 2, /unknown work "gemn"; did you mean gemm/],
    [["bench", "--peer", "torhc"], 2, /unknown peer "torhc"; did you mean torch\?/],
    [["bench", "--rounds", "0"], 2, /--rounds is "0"; give a whole number of at least 1/],
    [["bench", "--peers", "torch"], 2, /unknown option '--peers'\n\(Did you mean --peer\?\)/],
    [["bench", "machine", "--recipe", "mnist-resne"], 2, /unknown recipe "mnist-resne"; did you mean mnist-resnet\?/],
    [["bench", "machine", "--epochs", "3"], 2, /"--epochs" is an option of no recipe; name one with --recipe/],
    [["bench", "machine", "--out", "x.svg"], 2, /--out is "x.svg"; the page is a .html file/],
    [["profile"], 2, /say what to profile: a recipe/],
    [["profile", "mnist-resne"], 2, /unknown recipe "mnist-resne"; did you mean mnist-resnet\?/],
    [["profile", "mnist-resnet", "--bacth-size", "3"], 2, /unknown option "--bacth-size"; did you mean --batch-size\?/],
    [["profile", "mnist-resnet", "--out", "trace.html"], 2, /--out is "trace.html"; the trace is a .json file/],
  ];
  for (const [words, expected, message] of cases) {
    const { code, err } = await cli(...words);
    assert.match(err, message, words.join(" "));
    assert.equal(code, expected, words.join(" "));
  }
});

test("a peer that is not installed is told with how to install it", { skip }, async () => {
  const { code, err } = await cli("bench", "mlp", "--peer", "onnxruntime");
  assert.equal(code, 1);
  assert.match(
    err,
    /the peer onnxruntime does not start: .*onnxruntime-node.* To install it: npm install onnxruntime-node\n/s,
  );
});

test("the machine is measured, and a recipe's kernels are placed on its roofline", { skip }, async () => {
  const words = ["bench", "machine", "--recipe", "mnist-resnet", "--data", "idx", "--batch-size", "16"];
  const { code, out, err } = await cli(...words, "--runs", "2", "--json");
  assert.equal(code, 0, err);
  const { machine, recipe, files } = JSON.parse(out);
  for (const rate of [machine.f32, machine.f64, ...Object.values<{ one: number; all: number }>(machine.memory)])
    assert.ok(rate.one > 1e6 && rate.all > 1e6, JSON.stringify(rate));
  assert.ok(machine.chain > 1e6 && machine.scalar >= machine.chain / 2);
  assert.equal(recipe.command, "manabi bench machine --recipe mnist-resnet --data idx --batch-size 16");
  const page = await readFile(join(root, files[0]), "utf8");
  assert.match(page, /conv_weight_grad_f32/);
  assert.match(page, /class="mark /);
});

test("a recipe's training step is profiled, as text, JSON, trace and page", { skip }, async () => {
  const words = ["profile", "mnist-resnet", "--data", "idx", "--batch-size", "16", "--runs", "3"];
  const { code, out, err } = await cli(...words, "--out", "step.json");
  assert.equal(code, 0, err);
  assert.match(out, /^step\(f32\[16,1,8,8\], i32\[16\]\): \S+ [mu]?s, median of 3 runs\n/);
  assert.match(out, /\n +1 {2}\S.*%/);
  assert.match(out, /written: step\.json\nwritten: step\.html\n$/);
  const { traceEvents } = JSON.parse(await readFile(join(root, "step.json"), "utf8"));
  assert.equal(traceEvents.filter((e: { cat: string }) => e.cat === "program").length, 3);
  assert.ok((await readFile(join(root, "step.html"), "utf8")).includes("of the roof"));
  assert.ok(!existsSync(join(root, "runs")), "no run folder is left");
});

test("any recipe: a classifier on a folder of pictures", { skip }, async () => {
  const words = [
    "--data",
    "photos",
    "--model",
    "mnist_resnet",
    "--image-size",
    "16",
    "--batch-size",
    "4",
    "--runs",
    "1",
  ];
  const { code, out, err } = await cli("profile", ...words, "--json");
  assert.equal(code, 0, err);
  const { name, args, programs, peakBytes, machine } = JSON.parse(out);
  assert.deepEqual([name, args.batchSize, programs[0].name], ["classify", 4, "step"]);
  assert.ok(peakBytes > 1e7 && machine.f32.all > 1e6);
  const [{ kernels, updates, arenaBytes, flops }] = programs;
  assert.ok(updates > 80 && arenaBytes > 1000 && flops > 1e6);
  assert.ok(kernels.every((k: { seconds: number; share: number }) => k.seconds >= 0 && k.share <= 1));
});
