/** What the engine asks of the program that it runs in, the same in Node and in a browser. */
export interface Host {
  /** Tells the user one line: on stderr in Node, on the console in a browser. */
  warn(text: string): void;
  /** Resolves once signals, timers and messages have had their turn. */
  turn(): Promise<void>;
  /** Processors that this program may use. */
  readonly processors: number;
}
