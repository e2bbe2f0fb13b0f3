import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ManabiError } from "../../src/core/errors.ts";
import { readCheckpoint } from "../../src/io/index.ts";
import { execute, NonFiniteLossError, Run, readMetrics, readRunRecord, resume } from "../../src/train/index.ts";
import toy from "./toy-recipe.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-run-"));
});
after(() => rm(root, { recursive: true }));
const fresh = async (): Promise<string> => join(await mkdtemp(join(root, "case-")), "run");

const quiet = { output: { mode: "quiet" } } as const;
const main = fileURLToPath(new URL(`./toy-main${extname(import.meta.url)}`, import.meta.url));

const children: ChildProcess[] = [];
after(() => children.forEach((child) => void child.kill("SIGKILL")));

function spawnToy(folder: string, args: object): ChildProcess {
  const words = [main, folder, JSON.stringify(args)];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  return child;
}
const ended = (child: ChildProcess): Promise<number | null> => new Promise((done) => child.on("close", done));

/** Everything of a run folder that must not depend on interruptions: checkpoints, samples, metrics but for the time. */
async function content(folder: string): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const part of ["checkpoints", "samples"])
    for (const name of await readdir(join(folder, part)))
      out[`${part}/${name}`] = createHash("sha256")
        .update(await readFile(join(folder, part, name)))
        .digest("hex");
  out.metrics = (await readFile(join(folder, "metrics.jsonl"), "utf8")).replace(/"time":[\d.]+,/g, "");
  return out;
}

test("a run folder holds record, metrics, events, checkpoints, samples and report", async () => {
  const folder = await fresh();
  const { status, exitCode, run } = await execute(
    toy,
    { epochs: 2 },
    { folder, ...quiet, command: "manabi train toy" },
  );
  assert.deepEqual([status, exitCode, run.step, run.epoch], ["done", 0, 80, 2]);
  assert.deepEqual((await readdir(folder)).sort(), [
    "checkpoints",
    "metrics.jsonl",
    "report.html",
    "run.json",
    "samples",
    "tensorboard",
  ]);
  const record = await readRunRecord(folder);
  assert.deepEqual([record.status, record.error, record.recipe, record.step], ["done", null, "toy", 80]);
  assert.deepEqual(record.args, { seed: 1, epochs: 2, steps: 40, delay: 0, nanAt: -1, nanWeightAt: -1, every: 7 });
  assert.equal(record.sessions[0].command, "manabi train toy");
  assert.equal(record.sessions[0].environment.node, process.version);
  assert.match(record.sessions[0].environment.manabi, /^\d+\.\d+\.\d+/);
  const metrics = await readMetrics(join(folder, "metrics.jsonl"));
  assert.deepEqual(
    metrics.filter(({ values }) => "loss" in values).map(({ step }) => step),
    Array.from({ length: 80 }, (_, i) => i + 1),
  );
  const accuracies = metrics.flatMap(({ values }) => values["test/accuracy"] ?? []);
  assert.equal(record.best?.value, Math.max(...accuracies));
  assert.equal(
    (await readCheckpoint(join(folder, "checkpoints", "best.safetensors"))).notes.score,
    String(record.best?.value),
  );
});

test("the folder is named by recipe, time and id; a folder that holds a run is refused", async () => {
  const where = await fresh();
  const run = await Run.create({ recipe: "toy", args: {}, root: where, ...quiet });
  assert.match(run.folder.slice(where.length), /^[\\/]toy-\d{8}-\d{6}-[0-9a-f]{4}$/);
  await run.finish("done");
  await assert.rejects(Run.create({ recipe: "toy", args: {}, folder: run.folder, ...quiet }), /already holds a run/);
  await assert.rejects(Run.resume(run.folder, quiet), /is finished; there is nothing to resume/);
  await assert.rejects(Run.resume(where, quiet), /is no run folder: it has no run.json/);
});

test("killed at any moment, a run goes on bit for bit", async () => {
  const args = { epochs: 3, delay: 2, every: 20 };
  const undisturbed = await fresh();
  await execute(toy, args, { folder: undisturbed, ...quiet });
  const folder = await fresh();
  let kills = 0;
  for (const wait of [0, 90, 160, 47, 1000_000]) {
    const child = spawnToy(folder, args);
    const sessions = existsSync(join(folder, "run.json")) ? (await readRunRecord(folder)).sessions.length : 0;
    const close = ended(child);
    // The delay counts from the moment at which the session has begun, which start-up time would blur.
    const begun = async () => {
      while (child.exitCode === null) {
        const record = await readRunRecord(folder).catch(() => null);
        if (record && record.sessions.length > sessions) return;
        await sleep(2);
      }
    };
    if (wait < 1000) {
      await begun();
      await sleep(wait);
      kills += child.kill("SIGKILL") ? 1 : 0;
    }
    const code = await close;
    // A kill may come when all is written but the process has not ended.
    const record = await readRunRecord(folder).catch(() => null);
    if (code === 0 || record?.status === "done") break;
  }
  assert.ok(kills >= 1);
  const record = await readRunRecord(folder);
  assert.equal(record.status, "done");
  assert.deepEqual(await content(folder), await content(undisturbed));
});

test("Ctrl-C saves, tells how to resume and exits with 130", { skip: process.platform === "win32" }, async () => {
  const folder = await fresh();
  const child = spawnToy(folder, { delay: 10 });
  let text = "";
  child.stderr?.on("data", (chunk) => {
    text += chunk;
  });
  while (!existsSync(join(folder, "metrics.jsonl")) || (await stat(join(folder, "metrics.jsonl"))).size === 0)
    await sleep(5);
  child.kill("SIGINT");
  assert.equal(await ended(child), 130);
  const record = await readRunRecord(folder);
  assert.equal(record.status, "interrupted");
  assert.match(text, /stopping after this step; press Ctrl-C again to exit at once/);
  assert.match(text, new RegExp(`saved at step ${record.step}; to go on: manabi train toy --resume .*run\n`));
  const { run } = await resume(toy, folder, quiet);
  assert.equal(run.step, 120);
  const undisturbed = await fresh();
  await execute(toy, {}, { folder: undisturbed, ...quiet });
  const [a, b] = [await content(folder), await content(undisturbed)];
  assert.equal(a.metrics, b.metrics);
  assert.equal(a["checkpoints/step-000000120.safetensors"], b["checkpoints/step-000000120.safetensors"]);
});

test("a second Ctrl-C exits at once", { skip: process.platform === "win32" }, async () => {
  const folder = await fresh();
  const child = spawnToy(folder, { delay: 60_000 });
  while (!existsSync(join(folder, "run.json"))) await sleep(5);
  await sleep(50);
  const close = ended(child);
  child.kill("SIGINT");
  child.stderr?.once("data", () => child.kill("SIGTERM"));
  assert.equal(await close, 130);
});

test("a NaN loss stops the run, names the step and keeps the last good checkpoint", async () => {
  const folder = await fresh();
  await assert.rejects(execute(toy, { nanAt: 30 }, { folder, ...quiet }), (error) => {
    assert.ok(error instanceof NonFiniteLossError);
    assert.equal(error.step, 30);
    assert.match(error.message, /^step 30: loss is NaN; the last good checkpoint is .*step-000000028.safetensors\./);
    return true;
  });
  const record = await readRunRecord(folder);
  assert.equal(record.status, "failed");
  assert.match(record.error ?? "", /^step 30: loss is NaN/);
  assert.deepEqual((await readdir(join(folder, "checkpoints"))).at(-1), "step-000000028.safetensors");
  assert.ok(existsSync(join(folder, "report.html")));
});

test("NaN weights are not saved over good ones", async () => {
  const folder = await fresh();
  await assert.rejects(
    execute(toy, { nanWeightAt: 9 }, { folder, ...quiet }),
    /step 14: model\/weights holds NaN; the last good checkpoint is .*step-000000007/,
  );
});

test("with the policy warn a NaN loss is told and the run goes on", async () => {
  const folder = await fresh();
  let text = "";
  const stderr = { write: (chunk: string) => (text += chunk) };
  const output = { mode: "quiet", stderr } as const;
  await execute(toy, { nanAt: 30 }, { folder, nonFinite: "warn", output });
  assert.match(text, /^step 30: loss is NaN; .*\n$/);
  const values = (await readMetrics(join(folder, "metrics.jsonl"))).map((record) => record.values.loss);
  assert.ok(Number.isNaN(values[29]));
});

test("a failed recipe is recorded as failed, then resumes", async () => {
  const folder = await fresh();
  const failing = {
    ...toy,
    run: async (args: Parameters<typeof toy.run>[0], run: Run) => {
      const log = run.log.bind(run);
      run.log = (values) => {
        if (values.step === 20) throw new RangeError("a bug");
        log(values);
      };
      await toy.run(args, run);
    },
  };
  await assert.rejects(execute(failing, {}, { folder, ...quiet }), new RangeError("a bug"));
  assert.deepEqual((await readRunRecord(folder)).error, "a bug");
  assert.equal((await resume(toy, folder, quiet)).run.step, 120);
});

test("a corrupt newest checkpoint and a torn last line are passed over", async () => {
  const [folder, undisturbed] = [await fresh(), await fresh()];
  await execute(toy, {}, { folder: undisturbed, ...quiet });
  await assert.rejects(execute(toy, { nanAt: 30 }, { folder, ...quiet }), NonFiniteLossError);
  const record = JSON.parse(await readFile(join(folder, "run.json"), "utf8"));
  await writeFile(join(folder, "run.json"), JSON.stringify({ ...record, args: { ...record.args, nanAt: -1 } }));
  const path = join(folder, "metrics.jsonl");
  await truncate(path, (await stat(path)).size - 5);
  await truncate(join(folder, "checkpoints", "step-000000028.safetensors"), 50);
  let text = "";
  const output = { mode: "quiet", stderr: { write: (chunk: string) => (text += chunk) } } as const;
  await resume(toy, folder, { output });
  assert.match(text, /skipping a checkpoint: .*step-000000028/);
  assert.deepEqual(await content(folder), await content(undisturbed));
});

test("a run that another process works on is not resumed", async () => {
  const folder = await fresh();
  const child = spawnToy(folder, { delay: 60_000 });
  while (!existsSync(join(folder, "run.json"))) await sleep(5);
  await assert.rejects(resume(toy, folder, quiet), new RegExp(`is still running as process ${child.pid}`));
  const close = ended(child);
  child.kill("SIGKILL");
  await close;
});

test("arguments of another version of the recipe are refused", async () => {
  const folder = await fresh();
  const run = await Run.create({ recipe: "toy", args: { speed: 1 }, folder, ...quiet });
  await run.finish("interrupted");
  await assert.rejects(resume(toy, folder, quiet), (error) => {
    assert.ok(error instanceof ManabiError);
    return /started with other arguments than this recipe takes: unknown argument "speed"; did you mean seed/.test(
      error.message,
    );
  });
});

test("the json mode prints one object a line", async () => {
  let text = "";
  const stdout = { write: (chunk: string) => (text += chunk) };
  await execute(toy, { epochs: 1, steps: 3 }, { folder: await fresh(), output: { mode: "json", stdout } });
  const events = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ event }) => event),
    ["start", "sample", "log", "log", "log", "log", "checkpoint", "end"],
  );
  assert.deepEqual([events[2].step, events[2].lr], [1, 0.1]);
  assert.equal(events.at(-1).status, "done");
});

test("wrong use is told at the call", async () => {
  const run = await Run.create({ recipe: "toy", args: {}, folder: await fresh(), ...quiet });
  run.log({ step: 5, loss: 1 });
  assert.throws(() => run.log({ step: 4, loss: 1 }), /step 4 comes after step 5/);
  assert.throws(() => run.log({ time: 4 }), /"time" is logged by the run itself/);
  await assert.rejects(run.begin({}, { every: { steps: 0 } }), /checkpoint policy: steps is 0/);
  await assert.rejects(run.begin({ run: { state: () => ({}), restore: () => {} } }), /the part name "run" is taken/);
  await run.begin({});
  await assert.rejects(run.begin({}), /run.begin was called before/);
  await run.finish("done");
});
