import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Rng, seedKey } from "../../src/core/rng.ts";
import { readRunRecord } from "../../src/train/index.ts";
import { mainWords } from "../cli/main-words.ts";

/** Runs a command line twice, once undisturbed and once killed with SIGKILL at `kills` random moments and resumed each
 *  time, and asserts that both leave the same bytes: checkpoints, samples and metrics but for the time. `words` are the
 *  arguments of `manabi train`; `span` is within how many milliseconds of a session's beginning it is killed. */
export async function survivesKills(
  t: TestContext,
  words: readonly string[],
  kills: number,
  span: number,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "manabi-kill-"));
  let child: ChildProcess | null = null;
  t.after(async () => {
    child?.kill("SIGKILL");
    await rm(root, { recursive: true });
  });
  const [undisturbed, folder] = [join(root, "undisturbed"), join(root, "killed")];
  const start = (...rest: string[]) => {
    let text = "";
    child = spawn(process.execPath, [...mainWords, "train", ...rest, "--quiet"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.on("data", (chunk) => (text += chunk));
    return { child, ended: new Promise<number | null>((done) => child?.on("close", done)), text: () => text };
  };
  const whole = start(...words, "--out", undisturbed);
  assert.equal(await whole.ended, 0, whole.text());

  const rng = new Rng(seedKey(words.length + kills));
  let done = 0;
  let sessions = 0;
  while (done < kills) {
    const session = start(
      ...(sessions === 0 ? [...words, "--out", folder] : ["--resume", folder, ...sessionWords(words)]),
    );
    sessions = await begun(folder, sessions, session);
    await sleep(rng.uniform(0, span));
    assert.ok(session.child.kill("SIGKILL"), `the run ended after ${done} kills; train for longer`);
    assert.equal(await session.ended, null, session.text());
    done++;
  }
  const last = start("--resume", folder, ...sessionWords(words));
  assert.equal(await last.ended, 0, last.text());
  assert.equal((await readRunRecord(folder)).sessions.length, kills + 1);
  const [killed, expected] = [await content(folder), await content(undisturbed)];
  assert.deepEqual(Object.keys(killed), Object.keys(expected));
  for (const name of Object.keys(expected)) assert.ok(killed[name] === expected[name], `${name} differs`);
}

/** The options that belong to a session, not to the run. */
const sessionWords = (words: readonly string[]): string[] =>
  words.flatMap((word, i) => (["--backend", "--save-every", "--threads"].includes(word) ? [word, words[i + 1]] : []));

/** Waits for a session beyond the first `sessions` ones: start-up takes longer than training here. */
async function begun(
  folder: string,
  sessions: number,
  { child, text }: { child: ChildProcess; text: () => string },
): Promise<number> {
  for (;;) {
    const record = await readRunRecord(folder).catch(() => null);
    if (record && record.sessions.length > sessions) return record.sessions.length;
    assert.equal(child.exitCode, null, text());
    await sleep(5);
  }
}

/** What must not depend on interruptions. */
async function content(folder: string): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const part of ["checkpoints", "samples"])
    for (const name of (await readdir(join(folder, part))).sort())
      out[`${part}/${name}`] = (await readFile(join(folder, part, name))).toString("base64");
  out.metrics = (await readFile(join(folder, "metrics.jsonl"), "utf8")).replace(/"time":[\d.]+,/g, "");
  return out;
}
