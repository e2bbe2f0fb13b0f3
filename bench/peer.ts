import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** PyTorch in a process of its own, timed on request. */
export class Peer {
  readonly name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(name: string, child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>) {
    this.name = name;
    this.#child = child;
    this.#lines = lines;
  }

  /** Starts the peer, or returns why there is none. */
  static async start(threads: number): Promise<Peer | string> {
    // Compiled, this file lies in dist/bench; the script stays where it was written.
    const script = fileURLToPath(
      new URL(import.meta.url.includes("/dist/") ? "../../bench/peer.py" : "./peer.py", import.meta.url),
    );
    const child = spawn("python3", [script, String(threads)], { stdio: "pipe" });
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    const failed = new Promise<string>((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("exit", () => resolve(errors.trim().split("\n").at(-1) ?? "python3 ended"));
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (typeof first === "string") return first;
    if (first.done) return await failed;
    return new Peer((JSON.parse(first.value) as { peer: string }).peer, child, lines);
  }

  /** Seconds of each of `runs` runs, each the mean of `inner` calls. */
  async time(request: Readonly<Record<string, string | number>>, runs: number, inner: number): Promise<number[]> {
    this.#child.stdin.write(`${JSON.stringify({ ...request, runs, inner })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the peer ended on ${JSON.stringify(request)}`);
    return (JSON.parse(value) as { seconds: number[] }).seconds;
  }

  stop(): void {
    this.#child.stdin.end();
  }
}
