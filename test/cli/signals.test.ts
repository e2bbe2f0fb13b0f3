import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readRunRecord } from "../../src/train/index.ts";
import { writeStripeIdx } from "../support/pictures.ts";
import { cli } from "./cli.ts";
import { mainWords } from "./main-words.ts";

const posix = { skip: process.platform === "win32" };
let root: string;
const children: ChildProcess[] = [];

before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-signals-"));
  await writeStripeIdx(join(root, "idx"), 96, 30);
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(root, { recursive: true });
});

function start(
  command: string,
  words: readonly string[],
): { child: ChildProcess; ended: Promise<number | null>; text: () => string } {
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  return { child, ended: new Promise((done) => child.on("close", done)), text: () => text };
}

const training = (out: string): string[] => [
  ...[
    "train",
    "mnist-resnet",
    "--data",
    join(root, "idx"),
    "--batch-size",
    "16",
    "--backend",
    "reference",
    "--out",
    out,
  ],
];

test("Ctrl-C saves, says how to go on, and exits with 130", posix, async () => {
  const out = join(root, "stopped");
  const { child, ended, text } = start(process.execPath, [...mainWords, ...training(out), "--epochs", "500"]);
  const metrics = join(out, "metrics.jsonl");
  while (!existsSync(metrics) || readFileSync(metrics).length === 0) {
    assert.equal(child.exitCode, null, text());
    await sleep(10);
  }
  child.kill("SIGINT");
  assert.equal(await ended, 130, text());
  assert.match(text(), /stopping after this step/);
  const record = await readRunRecord(out);
  assert.equal(record.status, "interrupted");
  const [, path] = /to go on: manabi train mnist-resnet --resume (.*)\n/.exec(text()) ?? [];
  assert.equal(resolve(path), out);
  assert.ok(existsSync(join(out, "report.html")));
});

test("a full disk ends a run with a clear error, and what was saved can be used", async (t) => {
  // A small file system of our own, where the kernel allows one without privileges.
  const mount = join(root, "small");
  const idx = join(root, "idx");
  const script = `mkdir -p "$1" && mount -t tmpfs -o size=2m tmpfs "$1" && shift && "$@"; code=$?; cp -r ${mount}/run ${root}/kept && exit $code`;
  const words = [...mainWords, ...training(join(mount, "run")), "--epochs", "3", "--save-every", "1"];
  const { ended, text } = start("unshare", ["-rm", "sh", "-c", script, "sh", mount, process.execPath, ...words]);
  const code = await ended.catch(() => null);
  if (code === null || /unshare|mount/.test(text().split("\n")[0]))
    return t.skip("this system does not let a test mount a small file system");
  assert.equal(code, 1, text());
  assert.match(text(), /error: cannot write .*: the disk is full; free some space or choose another folder/);
  const { code: evaluated, err } = await cli("eval", join(root, "kept"), "--data", idx, "--backend", "reference");
  assert.equal(evaluated, 0, err);
});
