import { existsSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { type BackendName, threadCount } from "../../backends/select.ts";
import { compareWork, findWorks, groupMeans, type Mean, type Row } from "../../bench/compare.ts";
import { Peer, peerNames } from "../../bench/peer.ts";
import { showSeconds } from "../../bench/roofline/units.ts";
import type { Work } from "../../bench/works/index.ts";
import { ManabiError, unknownName } from "../../core/errors.ts";
import { type MatrixPrecision, setMatrixPrecision } from "../../graph/precision.ts";
import { makeFolder, writeAtomic } from "../../io/atomic.ts";
import { readEnvironment } from "../../train/environment.ts";
import type { Output } from "../../train/output.ts";
import { withBackendOf } from "../backend.ts";
import { prepareMeasuring } from "../profiling.ts";
import { outputOf, printJson, type Shell, showBytes, UsageError, wholeNumber } from "../shell.ts";
import { machineCommand } from "./bench-machine.ts";

interface Options {
  readonly peer?: string;
  readonly backend: BackendName;
  readonly rounds: string;
  readonly threads?: string;
  readonly precision: MatrixPrecision;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** `manabi bench`: how fast is it, beside others, on this machine? */
export const benchCommand = (shell: Shell): Command =>
  withBackendOf(new Command("bench"))
    .description("time well-known work, and the same work in other libraries or on the native backend, in turns")
    .usage("[words...] [options]")
    .argument("[words...]", "only work of these groups, or whose name contains a word")
    .option("--peer <names>", `${peerNames.join(", ")}; several with commas (default: torch, if there is one)`)
    .option("--rounds <n>", "rounds; the median counts", "7")
    .addOption(
      new Option("--precision <name>", "of our matrix products")
        .choices(["highest", "high", "medium"])
        .default("highest"),
    )
    .option("--list", "print the names of the works and do nothing")
    .option("--json", "print JSON")
    .enablePositionalOptions()
    .addCommand(machineCommand(shell))
    .addHelpText(
      "after",
      `
Examples:
  manabi bench                                   everything, beside PyTorch where python3 has it
  manabi bench gemm mlp --rounds 15 --threads 1
  manabi bench train --peer torch,torch-bf16
  manabi bench inference --peer onnxruntime
  manabi bench train --precision medium --peer torch-bf16
  manabi bench mnist convnet --backend wasm --peer native,jax-js
  manabi bench machine                           what this machine can do at most

A ratio is ours over theirs: below 1 is faster.`,
    )
    .action((words: string[], options: Options) => bench(shell, words, options));

async function bench(shell: Shell, words: readonly string[], options: Options): Promise<void> {
  const works = chosen(words);
  if (options.list) return list(shell, works, options);
  const rounds = wholeNumber("--rounds", options.rounds);
  const kinds = (options.peer ?? "torch").split(",").map((kind) => kind.trim());
  for (const kind of kinds)
    if (!peerNames.includes(kind)) throw new UsageError(unknownName("peer", kind, peerNames).message);
  const output = await prepareMeasuring(shell, options);
  // A line of the result, for people.
  const say = (text: string) => {
    if (!options.json) output.info(text);
  };
  const threads = threadCount();
  setMatrixPrecision(options.precision);
  const load = loadavg()[0];
  const peers = await startPeers(kinds, threads, options.peer !== undefined, output);
  const rows: Row[] = [];
  try {
    say(header(peers));
    for (const work of works) {
      const row = await compareWork(work, peers, { rounds, threads }, (what) =>
        output.working(`${work.name}: ${what}`),
      );
      rows.push(row);
      say(line(row, peers));
    }
  } finally {
    for (const peer of peers) peer.stop();
  }
  const means = groupMeans(
    rows,
    peers.map(({ kind }) => kind),
  );
  const { manabi, git, ...machine } = await readEnvironment();
  const result = {
    date: new Date().toISOString(),
    machine: { ...machine, load },
    versions: { manabi, git, node: machine.node, peers: Object.fromEntries(peers.map((p) => [p.kind, p.name])) },
    ...{ backend: options.backend, threads, rounds, rows, means },
  };
  const settings = [
    ...(options.backend === "native" ? [] : [options.backend]),
    ...(options.precision === "highest" ? [] : [options.precision]),
    ...(options.threads === undefined ? [] : [`${options.threads} threads`]),
  ];
  const file = await save([...words, ...settings], result);
  if (options.json) return printJson(shell, result);
  for (const mean of means) say(meanLine(mean));
  for (const text of reasons(rows)) say(text);
  say(
    `${peers.map(({ name }) => name).join(", ") || "no peer"}; ${threads} threads; load average ${load.toFixed(1)} at the start`,
  );
  if (file !== null) say(`written to ${file}`);
}

function list(shell: Shell, works: readonly Work[], { json }: Options): void {
  const names = works.map(({ group, name }) => ({ group, name }));
  if (json) printJson(shell, names);
  else outputOf(shell, {}).info(names.map(({ group, name }) => `${group.padEnd(10)} ${name}`).join("\n"));
}

function chosen(words: readonly string[]): readonly Work[] {
  try {
    return findWorks(words);
  } catch (error) {
    throw error instanceof ManabiError ? new UsageError(`${error.message} (manabi bench --list)`) : error;
  }
}

/** The peers that were asked for; one that nobody asked for by name may be missing. */
async function startPeers(kinds: readonly string[], threads: number, asked: boolean, output: Output): Promise<Peer[]> {
  const peers: Peer[] = [];
  try {
    for (const kind of kinds) {
      output.status(`starting ${kind} ...`);
      peers.push(await Peer.start(kind, threads));
    }
  } catch (error) {
    if (asked || !(error instanceof ManabiError)) {
      for (const peer of peers) peer.stop();
      throw error;
    }
    output.warn(`${error.message}\nTimes of Manabi alone:`);
  }
  return peers;
}

const nameWidth = 44;

const header = (peers: readonly Peer[]): string =>
  [
    "work".padEnd(nameWidth),
    "ours".padStart(10),
    ...peers.flatMap(({ kind }) => [kind.padStart(11), "ratio".padStart(6)]),
    "GFLOP/s".padStart(8),
  ].join(" ");

function line({ name, measure, ours, peers: theirs, gflops }: Row, peers: readonly Peer[]): string {
  const show = measure === "bytes" ? showBytes : showSeconds;
  const cells = peers.flatMap(({ kind }) => {
    const value = theirs[kind] ?? null;
    return value === null
      ? ["-".padStart(11), "-".padStart(6)]
      : [show(value).padStart(11), showRatio(ours / value).padStart(6)];
  });
  return [name.padEnd(nameWidth), show(ours).padStart(10), ...cells, (gflops?.toFixed(0) ?? "").padStart(8)].join(" ");
}

/** Two decimals, and two digits where those would be zeros. */
const showRatio = (ratio: number): string => (ratio < 0.095 ? ratio.toPrecision(2) : ratio.toFixed(2));

const meanLine = ({ group, peer, works, ratio }: Mean): string =>
  `${group}: geometric mean of ours / ${peer} over ${works}: ${showRatio(ratio)}`;

/** Why peers did not do some work, each reason once. */
function reasons(rows: readonly Row[]): string[] {
  const found = new Map<string, string[]>();
  for (const { name, unable } of rows)
    for (const [kind, why] of Object.entries(unable)) {
      const key = `${kind}: ${why}`;
      found.set(key, [...(found.get(key) ?? []), name]);
    }
  return [...found].map(([why, names]) =>
    names.length > 3 ? `${why} (${names.length} works)` : `${why} (${names.join("; ")})`,
  );
}

/** Keeps the result where this package is developed; null elsewhere. */
async function save(words: readonly string[], result: object): Promise<string | null> {
  if (!existsSync("package.json") || !existsSync("bench")) return null;
  const { name }: { name?: string } = JSON.parse(readFileSync("package.json", "utf8"));
  if (name !== "manabi") return null;
  const folder = join("bench", "results");
  await makeFolder(folder);
  const file = join(
    folder,
    `${
      words
        .join("-")
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, "-") || "all"
    }.json`,
  );
  await writeAtomic(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}
