import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { backend } from "../backends/select.ts";
import { ManabiError, unknownName } from "../core/errors.ts";
import { matrixPrecision } from "../graph/precision.ts";
import { type Answer, Peer } from "./peer.ts";
import { median } from "./profile.ts";
import { groups, type Work, works } from "./works/index.ts";

/** What one work came to: medians of seconds, or bytes. */
export interface Row {
  readonly name: string;
  readonly group: Work["group"];
  readonly measure: Work["measure"];
  readonly ours: number;
  /** By the peer's kind; null where it cannot, for the reason in `unable`. */
  readonly peers: Readonly<Record<string, number | null>>;
  readonly unable: Readonly<Record<string, string>>;
  readonly gflops: number | null;
}

/** Geometric mean of ours over a peer's for the works of a group that both can do. */
export interface Mean {
  readonly group: Work["group"];
  readonly peer: string;
  readonly works: number;
  readonly ratio: number;
}

/** The works of a group, or those whose name contains a word; all without words. Throws with the nearest names. */
export function findWorks(words: readonly string[]): readonly Work[] {
  const fits = (work: Work, word: string) =>
    work.group === word || work.name.toLowerCase().includes(word.toLowerCase());
  for (const word of words)
    if (!works.some((work) => fits(work, word)))
      throw unknownName("work", word, [...groups, ...works.map(({ name }) => name)]);
  return words.length === 0 ? works : works.filter((work) => words.some((word) => fits(work, word)));
}

/** Measures one work on all sides; `tell` is told how far it is. */
export async function compareWork(
  work: Work,
  peers: readonly Peer[],
  options: { readonly rounds: number; readonly threads: number },
  tell: (what: string) => void,
): Promise<Row> {
  const { name, group, measure, flops } = work;
  const { ours, theirs } = await (measure === "bytes" ? memory : seconds)(work, peers, options, tell);
  const known = [...theirs].filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const unable = [...theirs].filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return {
    ...{ name, group, measure, ours },
    peers: { ...Object.fromEntries(unable.map(([kind]) => [kind, null])), ...Object.fromEntries(known) },
    unable: Object.fromEntries(unable),
    gflops: flops === null ? null : flops / ours / 1e9,
  };
}

interface Both {
  readonly ours: number;
  /** A number, or why there is none. */
  readonly theirs: ReadonlyMap<string, number | string>;
}

type Sides = Parameters<typeof compareWork>[2];

/** Runs of all sides in turn, so that what else the machine does meets all of them. */
async function seconds(
  work: Work,
  peers: readonly Peer[],
  { rounds }: Sides,
  tell: (what: string) => void,
): Promise<Both> {
  tell("preparing");
  const run = await work.prepare();
  // Short work is warmed up until the JavaScript around it has been compiled.
  const warm = performance.now() + 500;
  do await time(run, 1);
  while (performance.now() < warm);
  const once = await time(run, 3);
  // Short work is repeated within a run, so that a run takes some 40 ms.
  const inner = Math.max(1, Math.min(2000, Math.round(0.04 / once)));
  const ours: number[] = [];
  const theirs = new Map<string, number[]>();
  const unable = new Map<string, string>();
  const count = once > 1 ? Math.min(rounds, 5) : rounds;
  for (let round = 0; round < count; round++) {
    tell(`round ${round + 1} of ${count}`);
    // A peer's threads spin for a while after their work; until they sleep, they would take the cores from us.
    if (theirs.size) await sleep(250);
    await time(run, 1); // all sides wake up untimed
    ours.push(await time(run, inner));
    for (const peer of peers) {
      if (unable.has(peer.kind)) continue;
      const answer = await ask(peer, { ...work.request, work: work.name, runs: 1, inner });
      if ("seconds" in answer) theirs.set(peer.kind, [...(theirs.get(peer.kind) ?? []), ...answer.seconds]);
      else unable.set(peer.kind, reason(answer));
    }
  }
  const medians = [...theirs].map(([kind, list]) => [kind, median(list)] as const);
  return { ours: median(ours), theirs: new Map<string, number | string>([...medians, ...unable]) };
}

/** Runs before the memory is read: the first ones allocate what later ones use again. */
const memoryRuns = 3;

/** Every side in a process of its own that has done nothing before. */
async function memory(
  work: Work,
  peers: readonly Peer[],
  { threads }: Sides,
  tell: (what: string) => void,
): Promise<Both> {
  tell("in a process of its own");
  const script = fileURLToPath(import.meta.url).replace(/compare(\.[jt]s)$/, "peak$1");
  const settings = [backend().name, String(threads), String(memoryRuns), matrixPrecision()];
  const words = [...process.execArgv, script, work.name, ...settings];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  const theirs = new Map<string, number | string>();
  for (const { kind } of peers) {
    tell(`${kind} in a process of its own`);
    const fresh = await Peer.start(kind, threads);
    const answer = await ask(fresh, { ...work.request, work: work.name, peak: memoryRuns });
    fresh.stop();
    theirs.set(kind, "bytes" in answer ? answer.bytes : reason(answer));
  }
  return { ours: Number(stdout), theirs };
}

/** A peer's answer; that a peer has died of a work must not lose the results of the others. */
async function ask(peer: Peer, request: Parameters<Peer["ask"]>[0]): Promise<Answer> {
  try {
    return await peer.ask(request);
  } catch (error) {
    if (error instanceof ManabiError) return { unable: error.message };
    throw error;
  }
}

const reason = (answer: Answer): string => ("unable" in answer ? answer.unable : "it does not tell");

/** Seconds of a run, the mean of `inner`, to the end of the last. */
async function time(run: () => void, inner: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < inner; i++) run();
  await backend().finish?.();
  return (performance.now() - start) / inner / 1000;
}

/** Means over groups, for groups with more than one work. */
export function groupMeans(rows: readonly Row[], kinds: readonly string[]): Mean[] {
  return groups.flatMap((group) =>
    kinds.flatMap((peer): Mean[] => {
      const ratios = rows.flatMap((row) => {
        const theirs = row.group === group ? row.peers[peer] : null;
        return theirs ? [row.ours / theirs] : [];
      });
      const ratio = Math.exp(ratios.reduce((sum, x) => sum + Math.log(x), 0) / ratios.length);
      return ratios.length > 1 ? [{ group, peer, works: ratios.length, ratio }] : [];
    }),
  );
}
