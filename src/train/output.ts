/** Where the text of a run goes: `text` for people, `json` (one object a line on stdout) for programs, `quiet`. */
export type OutputMode = "text" | "json" | "quiet";

/** The part of a stream that is needed; `process.stdout` is one. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface OutputOptions {
  readonly mode?: OutputMode;
  readonly stdout?: TextStream;
  readonly stderr?: TextStream;
}

/** Lines, warnings and one line that is rewritten in place. */
export class Output {
  readonly mode: OutputMode;
  readonly #stdout: TextStream;
  readonly #stderr: TextStream;
  #status = false;
  #statusAt = performance.now();

  constructor({ mode = "text", stdout = process.stdout, stderr = process.stderr }: OutputOptions = {}) {
    this.mode = mode;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** An output as it is, or a new one with these options. */
  static from(output: OutputOptions | Output = {}): Output {
    return output instanceof Output ? output : new Output(output);
  }

  /** A line for people, on stdout. */
  info(text: string): void {
    if (this.mode !== "text") return;
    this.#clear();
    this.#stdout.write(`${text}\n`);
  }

  /** A line that nobody should miss, on stderr in every mode. */
  warn(text: string): void {
    this.#clear();
    this.#stderr.write(`${text}\n`);
  }

  /** A line for programs, on stdout. */
  event(event: string, fields: object): void {
    if (this.mode === "json") this.#stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
  }

  /** Whether a status line can be rewritten in place. */
  get live(): boolean {
    return this.mode === "text" && this.#stderr.isTTY === true;
  }

  /** Shows a status line on stderr: in place on a terminal, as a line of its own elsewhere. */
  status(text: string): void {
    if (this.mode !== "text") return;
    this.#statusAt = performance.now();
    if (!this.live) {
      this.#stderr.write(`${text}\n`);
      return;
    }
    this.#stderr.write(`\r${text.slice(0, (this.#stderr.columns ?? 80) - 1)}\x1b[K`);
    this.#status = true;
  }

  /** A status line of something that takes a while and reports often: shown ten times a second on a terminal, every
   *  five seconds elsewhere. */
  working(text: string): void {
    if (performance.now() - this.#statusAt >= (this.live ? 100 : 5000)) this.status(text);
  }

  #clear(): void {
    if (this.#status) this.#stderr.write("\r\x1b[K");
    this.#status = false;
  }
}
