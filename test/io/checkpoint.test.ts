import assert from "node:assert/strict";
import { copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { HostArray } from "../../src/core/dtype.ts";
import { FormatError, ManabiError } from "../../src/core/errors.ts";
import { loadCheckpoint, readCheckpoint, saveCheckpoint } from "../../src/io/checkpoint.ts";
import { CheckpointFolder, latestCheckpoint } from "../../src/io/checkpoint-folder.ts";
import { writeSafetensors } from "../../src/io/safetensors-file.ts";
import type { Stateful, StateLayout, StateTree } from "../../src/io/state.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-checkpoint-"));
});
after(() => rm(root, { recursive: true }));
const fresh = (): Promise<string> => mkdtemp(join(root, "case-"));

const f32 = (...values: number[]): HostArray => ({
  dtype: "f32",
  shape: [values.length],
  data: Float32Array.from(values),
});

interface Box extends Stateful {
  value: StateTree;
}
/** A part that holds any tree; with `strict` it declares the layout of its first value. */
function box(value: StateTree, strict = false): Box {
  const part: Box = {
    value,
    state: () => part.value,
    restore: (state) => {
      part.value = state;
    },
  };
  return strict ? { ...part, layout: () => value as StateLayout, restore: part.restore } : part;
}

const tree: StateTree = {
  model: { "conv1.weight": f32(1, 2), nested: { deep: { x: f32() } } },
  "0": { "10": 1, "9": "nine" },
  schedule: {
    step: 12,
    best: Number.NEGATIVE_INFINITY,
    worst: Number.NaN,
    zero: -0,
    none: null,
    warm: true,
    empty: {},
  },
};

test("every leaf comes back as it was", async () => {
  const path = join(await fresh(), "a.safetensors");
  await saveCheckpoint(path, { all: box(tree) }, { notes: { step: "12" } });
  const target = box({});
  await loadCheckpoint(path, { all: target });
  assert.deepEqual(target.value, tree);
  const { notes, parts } = await readCheckpoint(path);
  assert.deepEqual(notes, { step: "12" });
  assert.deepEqual(parts, { all: tree });
});

test("equal states give equal bytes whatever the order of keys", async () => {
  const folder = await fresh();
  const reversed = (node: StateTree): StateTree =>
    Object.fromEntries(
      Object.entries(node)
        .reverse()
        .map(([k, v]) => [k, typeof v === "object" && v !== null && !("data" in v) ? reversed(v as StateTree) : v]),
    );
  await saveCheckpoint(join(folder, "a"), { x: box(tree), y: box({}) });
  await saveCheckpoint(join(folder, "b"), { y: box({}), x: box(reversed(tree)) });
  assert.deepEqual(await readFile(join(folder, "a")), await readFile(join(folder, "b")));
});

test("what is no state is refused by its path", async () => {
  const path = join(await fresh(), "a");
  const save = (value: object) => saveCheckpoint(path, { model: box({ a: value } as StateTree) });
  await assert.rejects(save([1, 2]), /state "model\/a" is a list; a state holds arrays, scalars and plain records/);
  await assert.rejects(save(new Date(0)), /state "model\/a" is a Date/);
  await assert.rejects(save({ "x/y": 1 }), /state key "x\/y" in "model\/a": keys are not empty and hold no "\/"/);
  await assert.rejects(save({ f: () => 1 }), /state "model\/a\/f" is \(\) => 1/);
});

test("missing and extra parts and keys are reported together, and nothing is changed", async () => {
  const path = join(await fresh(), "a.safetensors");
  await saveCheckpoint(path, {
    model: box({ "fc.weight": f32(1, 2), "fc.bias": f32(1), step: 1, old: f32(1) }),
    random: box({ seed: 1 }),
  });
  const model = box({ "fc.weight": f32(1, 2, 3), "fc.bais": f32(0), step: f32(1) }, true);
  const data = box({ cursor: 1 });
  await assert.rejects(loadCheckpoint(path, { model, data }), (error) => {
    assert.ok(error instanceof ManabiError);
    assert.equal(
      error.message,
      `${path} does not fit:
  part "model": "fc.weight" is f32 [2] in the checkpoint, f32 [3] here
  part "model": missing "fc.bais" (the checkpoint has "fc.bias")
  part "model": "step" is a scalar in the checkpoint, f32 [1] here
  part "model": extra "fc.bias"
  part "model": extra "old"
  missing part "data" (the checkpoint has model, random)
  extra part "random"`,
    );
    return true;
  });
  assert.deepEqual(data.value, { cursor: 1 });
  const random = box({});
  await loadCheckpoint(path, { random }, { partial: true });
  assert.deepEqual(random.value, { seed: 1 });
});

test("an error of a part names the part", async () => {
  const path = join(await fresh(), "a.safetensors");
  await saveCheckpoint(path, { model: box({}) });
  const model = box({});
  model.restore = () => {
    throw new Error("no weights");
  };
  await assert.rejects(loadCheckpoint(path, { model }), /part "model" does not take its state: no weights/);
});

test("every flipped byte and every truncation is found", async () => {
  const folder = await fresh();
  const path = join(folder, "a.safetensors");
  await saveCheckpoint(path, { model: box({ w: f32(1, 2, 3), step: 7 }) }, { notes: { score: "0.5" } });
  const good = await readFile(path);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at] ^= 1;
    await writeFile(path, bad);
    await assert.rejects(readCheckpoint(path), FormatError, `byte ${at}`);
  }
  for (const length of [0, 7, 8, 20, good.length - 1]) {
    await writeFile(path, good);
    await truncate(path, length);
    await assert.rejects(readCheckpoint(path), FormatError);
  }
});

test("an ordinary safetensors file is no checkpoint", async () => {
  const path = join(await fresh(), "weights.safetensors");
  await writeSafetensors(path, { w: f32(1) });
  await assert.rejects(readCheckpoint(path), /this safetensors file is not a checkpoint/);
});

test("a tensor that fails the check keeps the file from being written", async () => {
  const folder = await fresh();
  const check = (name: string) => {
    throw new RangeError(name);
  };
  await assert.rejects(saveCheckpoint(join(folder, "a"), { m: box({ w: f32(1) }) }, { check }), new RangeError("m/w"));
  assert.deepEqual(await readdir(folder), []);
});

const names = (path: string) =>
  readdir(path).then((all) => all.sort().map((name) => name.replace(/^step-0+/, "step-")));

test("the newest checkpoints and the best one are kept", async () => {
  const path = join(await fresh(), "checkpoints");
  const folder = await CheckpointFolder.open(path, { keep: 2 });
  const part = box({ w: f32(0) });
  const scores = [0.1, 0.9, 0.5, Number.NaN, 0.9];
  for (const [i, score] of scores.entries()) {
    part.value = { w: f32(i) };
    await folder.save(i + 1, { part }, { score });
  }
  await folder.save(6, { part });
  assert.deepEqual(await names(path), ["best.safetensors", "step-5.safetensors", "step-6.safetensors"]);
  assert.deepEqual(folder.best, { path: join(path, "best.safetensors"), step: 2, score: 0.9 });
  assert.deepEqual((await readCheckpoint(folder.best.path)).parts.part.w, f32(1));
  assert.equal(await folder.latest(), join(path, "step-000000006.safetensors"));
});

test("a folder that was left between saving and promoting is put right", async () => {
  const path = await fresh();
  const part = box({ w: f32(0) });
  const folder = await CheckpointFolder.open(path, { goal: "min" });
  await folder.save(1, { part }, { score: 2 });
  await saveCheckpoint(join(path, "step-000000002.safetensors"), { part }, { notes: { step: "2", score: "1" } });
  const again = await CheckpointFolder.open(path, { goal: "min" });
  assert.equal(again.best?.step, 2);
  assert.equal((await readCheckpoint(again.best.path)).notes.step, "2");
});

test("what a killed process did not prune is pruned later", async () => {
  const path = await fresh();
  const part = box({ w: f32(0) });
  for (const step of [1, 2, 3, 9]) await saveCheckpoint(join(path, `step-00000000${step}.safetensors`), { part });
  await (await CheckpointFolder.open(path, { keep: 2 })).prune(3);
  assert.deepEqual(await names(path), ["step-2.safetensors", "step-3.safetensors"]);
});

test("corrupt checkpoints are skipped with a warning", async () => {
  const path = await fresh();
  const folder = await CheckpointFolder.open(path);
  const part = box({ w: f32(1, 2, 3) });
  const files = [await folder.save(1, { part }), await folder.save(2, { part }), await folder.save(3, { part })];
  await truncate(files[2], 100);
  const bytes = await readFile(files[1]);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(files[1], bytes);
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  assert.equal(await latestCheckpoint(path, warn), files[0]);
  assert.match(warnings[0], /skipping a checkpoint: .*step-000000003\.safetensors: the header claims/);
  assert.match(warnings[1], /skipping a checkpoint: .*step-000000002\.safetensors: the checkpoint is corrupt/);
  await copyFile(files[1], files[0]);
  await assert.rejects(latestCheckpoint(path, warn), /none of the 3 checkpoints can be read; start a new run/);
  assert.equal(await latestCheckpoint(await fresh()), null);
  assert.equal(await latestCheckpoint(join(path, "none")), null);
  // Going on from step 1 overwrites the abandoned course.
  await folder.save(2, { part });
  assert.deepEqual(await names(path), ["step-1.safetensors", "step-2.safetensors"]);
});
