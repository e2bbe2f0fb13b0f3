import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { setBackend, setThreads } from "manabi";
import { Peer } from "./peer.ts";
import { type Work, works } from "./work.ts";

interface Row {
  readonly name: string;
  readonly group: Work["group"];
  /** Median seconds. */
  readonly ours: number;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly gflops: number | null;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    threads: { type: "string", default: "2" },
    help: { type: "boolean", short: "h" },
  },
});
if (options.help) {
  console.log(`npm run bench [-- words]   times Manabi against PyTorch, interleaved, medians

  npm run bench -- gemm mlp      only work whose name or group contains a word
  npm run bench -- --rounds 15   more rounds; --threads 1 sets the threads of both sides`);
  process.exit(0);
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1];
const rounds = Number(options.rounds);
setBackend("native");
const threads = setThreads(Number(options.threads));
const peer = await Peer.start(threads);
if (typeof peer === "string")
  console.log(`No peer (${peer}); pip install torch torchvision gives one. Times of Manabi alone:`);

const chosen = works.filter(
  (w) =>
    positionals.length === 0 ||
    positionals.some((p) => w.group === p || w.name.toLowerCase().includes(p.toLowerCase())),
);
const rows: Row[] = [];
console.log(
  `${"work".padEnd(44)} ${"ours".padStart(10)} ${"peer".padStart(10)} ${"ratio".padStart(6)} ${"GFLOP/s".padStart(8)}`,
);
for (const work of chosen) {
  const run = await work.prepare();
  // Short work is warmed up until the JavaScript around it has been compiled.
  const warm = performance.now() + 500;
  do run();
  while (performance.now() < warm);
  const once = time(run, 3);
  // Short work is repeated within a run, so that a run takes some 40 ms.
  const inner = Math.max(1, Math.min(2000, Math.round(0.04 / once)));
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < (once > 1 ? Math.min(rounds, 5) : rounds); round++) {
    // The peer's threads spin for a while after their work; until they sleep, they would take the cores from us.
    if (typeof peer !== "string") await sleep(250);
    run(); // both sides wake up untimed
    ours.push(time(run, inner));
    if (typeof peer !== "string") theirs.push(...(await peer.time(work.request, 1, inner)));
  }
  const [a, b] = [median(ours), theirs.length ? median(theirs) : null];
  const row: Row = {
    name: work.name,
    group: work.group,
    ours: a,
    peer: b,
    ratio: b === null ? null : a / b,
    gflops: work.flops === null ? null : work.flops / a / 1e9,
  };
  rows.push(row);
  console.log(
    `${row.name.padEnd(44)} ${ms(a).padStart(10)} ${(b === null ? "-" : ms(b)).padStart(10)} ${(row.ratio?.toFixed(2) ?? "-").padStart(6)} ${(row.gflops?.toFixed(0) ?? "").padStart(8)}`,
  );
}
for (const group of ["gemm", "conv", "train"] as const) {
  const ratios = rows.flatMap((r) => (r.group === group && r.ratio !== null ? [r.ratio] : []));
  if (ratios.length)
    console.log(`${group}: geometric mean of ours / peer over ${ratios.length}: ${geometricMean(ratios).toFixed(2)}`);
}
if (typeof peer !== "string") peer.stop();
save();

function time(run: () => void, inner: number): number {
  const start = performance.now();
  for (let i = 0; i < inner; i++) run();
  return (performance.now() - start) / inner / 1000;
}

function ms(seconds: number): string {
  return seconds >= 0.001 ? `${(seconds * 1000).toFixed(2)} ms` : `${(seconds * 1e6).toFixed(1)} us`;
}

function geometricMean(list: readonly number[]): number {
  return Math.exp(list.reduce((sum, x) => sum + Math.log(x), 0) / list.length);
}

function save(): void {
  const date = new Date().toISOString();
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()}`,
    load: loadavg()[0],
  };
  const versions = { node: process.version, peer: typeof peer === "string" ? null : peer.name };
  mkdirSync("bench/results", { recursive: true });
  const path = `bench/results/${positionals.length ? positionals.join("-") : "all"}.json`;
  writeFileSync(path, `${JSON.stringify({ date, machine, versions, threads, rounds, rows }, null, 1)}\n`);
  console.log(`written to ${path}`);
}
