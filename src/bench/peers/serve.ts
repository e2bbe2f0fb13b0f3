import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

/** What a peer is asked: a case with its sizes. */
export type Request = Readonly<Record<string, string | number>>;

/** Imports a package that the user's project has; of its exports only what a peer uses is typed. */
export type Load = <T>(name: string) => Promise<T>;

/** A library that can be timed. */
export interface Library {
  /** With version, and threads where they are not those asked for. */
  readonly name: string;
  /** Makes a function that does the work once, to the end; or a reason why the library cannot. */
  prepare(request: Request): Promise<(() => unknown) | string>;
}

/** The module of a peer in JavaScript. */
export interface PeerModule {
  connect(load: Load, threads: number): Promise<Library>;
}

/** Answers requests on stdin, one JSON object a line, as `pytorch-peer.py` does; runs in a process of its own. */
export async function serve({ connect }: PeerModule, load: Load, threads: number): Promise<void> {
  // Some libraries greet on stdout, which is for answers.
  const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  console.log = console.error;
  const library = await connect(load, threads);
  say({ peer: library.name });
  let [made, run]: [key: string, run: (() => unknown) | string] = ["", "no request yet"];
  for await (const line of createInterface({ input: process.stdin })) {
    const { runs = 1, inner = 1, ...request } = JSON.parse(line) as Record<string, number>;
    const key = JSON.stringify(request);
    if (made !== key) {
      made = key;
      run = await library.prepare(request).catch((error: Error) => error.message);
    }
    say(typeof run === "string" ? { unable: run } : await timed(run, runs, inner).catch(unable));
  }
}

const unable = (error: unknown) => ({ unable: error instanceof Error ? error.message : String(error) });

async function timed(run: () => unknown, runs: number, inner: number): Promise<{ seconds: number[] }> {
  await run(); // both sides wake up untimed
  const seconds: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    for (let k = 0; k < inner; k++) await run();
    seconds.push((performance.now() - start) / inner / 1000);
  }
  return { seconds };
}

/** Name and version of a package of the project in the working folder. */
export function versionOf(name: string, folder = process.cwd()): string {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"));
    return `${name} ${version}`;
  } catch {
    return dirname(folder) === folder ? name : versionOf(name, dirname(folder));
  }
}

/** Numbers in [-0.5, 0.5). */
export const values = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.random() - 0.5);
