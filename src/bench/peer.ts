import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ManabiError, unknownName } from "../core/errors.ts";

interface PeerKind {
  /** Program and arguments for so many threads. */
  readonly command: (threads: number) => readonly [program: string, ...words: string[]];
  /** What brings it where it is missing. */
  readonly install: string;
}

const here = (file: string): string => fileURLToPath(new URL(`./peers/${file}`, import.meta.url));

const python = (precision: "f32" | "bf16"): PeerKind => ({
  command: (threads) => ["python3", here("pytorch-peer.py"), String(threads), precision],
  install: "pip install torch torchvision",
});

/** A script given by --eval imports packages as the project in the working folder has them. */
const starter =
  "const [serve, peer, threads] = process.argv.slice(1);" +
  "(await import(serve)).serve(await import(peer), (name) => import(name), Number(threads));";

/** Compiled or source, as this file is. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));

const node = (name: string, packages: string): PeerKind => ({
  command: (threads) => [
    process.execPath,
    ...["--input-type=module", "--eval", starter],
    ...["serve", name].map((file) => new URL(`./peers/${file}${extension}`, import.meta.url).href),
    String(threads),
  ],
  install: `npm install ${packages}`,
});

const kinds: Readonly<Record<string, PeerKind>> = {
  torch: python("f32"),
  "torch-bf16": python("bf16"),
  tfjs: node("tfjs", "@tensorflow/tfjs @tensorflow/tfjs-backend-wasm"),
  "jax-js": node("jax-js", "@jax-js/jax"),
  onnxruntime: node("onnxruntime", "onnxruntime-node"),
  native: node("native", "manabi"),
};

export const peerNames: readonly string[] = Object.keys(kinds);

/** What a peer answers: times of the runs, bytes of memory, or why it cannot do this work. */
export type Answer = { readonly seconds: number[] } | { readonly bytes: number } | { readonly unable: string };

/** Another library in a process of its own, timed on request. */
export class Peer {
  readonly kind: string;
  /** With its version. */
  readonly name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #complaint: () => string;

  private constructor(
    kind: string,
    name: string,
    child: ChildProcessWithoutNullStreams,
    lines: AsyncIterator<string>,
    complaint: () => string,
  ) {
    this.kind = kind;
    this.name = name;
    this.#child = child;
    this.#lines = lines;
    this.#complaint = complaint;
  }

  /** Starts a peer by its name. Throws with the nearest names, or with what is missing and how to install it. */
  static async start(kind: string, threads: number): Promise<Peer> {
    if (!Object.hasOwn(kinds, kind)) throw unknownName("peer", kind, peerNames);
    const { command, install } = kinds[kind];
    const [program, ...words] = command(threads);
    const child = spawn(program, words, { stdio: "pipe" });
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors = (errors + chunk).slice(-4000);
    });
    const complaint = () =>
      errors
        .trim()
        .split("\n")
        .findLast((line) => /error|cannot/i.test(line)) ??
      errors.trim().split("\n").at(-1) ??
      "";
    const failed = new Promise<string>((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", () => resolve(complaint() || `${program} ended`));
    });
    // Written to after its end, a child must not take this process with it; the answer that fails to come tells.
    child.stdin.on("error", () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (typeof first === "string" || first.done) {
      const reason = typeof first === "string" ? first : await failed;
      throw new ManabiError(`the peer ${kind} does not start: ${reason}. To install it: ${install}`);
    }
    return new Peer(kind, (JSON.parse(first.value) as { peer: string }).peer, child, lines, complaint);
  }

  /** Asks for something; throws if the peer has died of it. */
  async ask(request: Readonly<Record<string, string | number>>): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new ManabiError(`the peer ${this.kind} ended on ${JSON.stringify(request)}: ${this.#complaint()}`);
    return JSON.parse(value) as Answer;
  }

  stop(): void {
    this.#child.stdin.end();
  }
}
