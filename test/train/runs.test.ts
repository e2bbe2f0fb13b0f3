import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CheckpointClock } from "../../src/train/checkpoint-policy.ts";
import { compareRuns, listRuns, Run, type RunRecord, readRun } from "../../src/train/index.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-runs-"));
});
after(() => rm(root, { recursive: true }));

async function makeRun(
  name: string,
  lr: number,
  accuracies: number[],
  change: Partial<RunRecord> = {},
): Promise<string> {
  const folder = join(root, name);
  const metric = { name: "accuracy", goal: "max" } as const;
  const run = await Run.create({ recipe: "toy", args: { lr, seed: 1 }, metric, folder, output: { mode: "quiet" } });
  for (const [i, accuracy] of accuracies.entries()) run.log({ step: i + 1, accuracy, loss: 1 / (i + 1) });
  await run.finish("done");
  const path = join(folder, "run.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
  return folder;
}

test("runs are listed newest first, damaged ones with the reason", async () => {
  const a = await makeRun("a", 0.1, [0.5, 0.9, 0.8]);
  const b = await makeRun("b", 0.2, [0.5, 0.7]);
  const session = JSON.parse(await readFile(join(a, "run.json"), "utf8")).sessions[0];
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const c = await makeRun("c", 0.2, [], { status: "running", sessions: [{ ...session, pid: gone }] });
  const elsewhere = { ...session, pid: gone, host: "another-machine" };
  const d = await makeRun("d", 0.2, [], { status: "running", sessions: [elsewhere] });
  await mkdir(join(root, "empty"));
  await makeRun("torn", 1, []);
  await writeFile(join(root, "torn", "run.json"), '{"version":');
  await makeRun("future", 1, [], { version: 2 as 1 });
  const { runs, damaged } = await listRuns(root);
  assert.deepEqual(runs.map(({ folder, status, best }) => [folder, status, best?.value]).sort(), [
    [a, "done", 0.9],
    [b, "done", 0.7],
    [c, "interrupted", undefined],
    [d, "running", undefined],
  ]);
  assert.ok(runs.every((run, i) => i === 0 || run.started <= runs[i - 1].started));
  const reasons = damaged.sort((x, y) => (x.folder < y.folder ? -1 : 1)).map(({ reason }) => reason.replace(root, ""));
  assert.match(reasons[0], /empty is no run folder: it has no run.json/);
  assert.match(reasons[1], /future.*version 2; this manabi reads version 1/);
  assert.match(reasons[2], /torn.*run.json: not valid JSON/);
  assert.deepEqual(await listRuns(join(root, "none")), { runs: [], damaged: [] });

  const compared = compareRuns([await readRun(a), await readRun(b), await readRun(c)]);
  assert.deepEqual(compared.args, [{ name: "lr", values: [0.1, 0.2, 0.2] }]);
  assert.deepEqual(compared.metrics, [
    { name: "accuracy", values: [0.8, 0.7, undefined] },
    { name: "loss", values: [1 / 3, 0.5, undefined] },
  ]);
  assert.deepEqual(compared.best, [{ name: "accuracy", values: [0.9, 0.7, undefined] }]);
});

test("a checkpoint is due at multiples of the run, not of the session", () => {
  let time = 0;
  const clock = new CheckpointClock({ steps: 10, seconds: 60 }, 7, 0, () => time);
  const due: number[] = [];
  for (let step = 8; step <= 40; step++) {
    time += step > 30 ? 25 : 1;
    if (!clock.due(step, 0)) continue;
    due.push(step);
    clock.saved(step, 0);
  }
  assert.deepEqual(due, [10, 20, 30, 33, 36, 39, 40]);
  const epochs = new CheckpointClock({ epochs: 2 }, 0, 0, () => 0);
  assert.deepEqual(
    [0, 1, 2].map((epoch) => epochs.due(100, epoch)),
    [false, false, true],
  );
});
