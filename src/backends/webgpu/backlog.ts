import { ManabiError } from "../../core/errors.ts";
import { showMiB } from "./pool.ts";

/** What may wait in a queue. */
export interface BacklogLimits {
  readonly submissions: number;
  readonly inputBytes: number;
}

/** Far beyond what a program that awaits now and then gets to, and below what takes a machine's memory. */
const generous: BacklogLimits = { submissions: 1 << 16, inputBytes: 2 ** 33 };

/** The share of a limit that is told. */
const warned = 1 / 16;

const cure = "await a result now and then, such as the loss of every tenth step: await loss.item()";

/**
 * Counts what has been submitted and is not known to be done. A loop that never awaits does not learn of it, and a queue
 * cannot make it wait: it is told once, and refused before it takes all memory.
 */
export class Backlog {
  private readonly whenDone: () => Promise<unknown>;
  private readonly warn: (text: string) => void;
  private readonly limits: BacklogLimits;
  private total = { submissions: 0, inputBytes: 0 };
  private done = { submissions: 0, inputBytes: 0 };
  private asked = false;
  private told = false;

  /** `whenDone` resolves when all that has been submitted so far is done. */
  constructor(whenDone: () => Promise<unknown>, warn: (text: string) => void, limits = generous) {
    this.whenDone = whenDone;
    this.warn = warn;
    this.limits = limits;
  }

  /** Submissions that are not known to be done. */
  get submissions(): number {
    return this.total.submissions - this.done.submissions;
  }
  /** Bytes of inputs in host memory that were copied for them. */
  get inputBytes(): number {
    return this.total.inputBytes - this.done.inputBytes;
  }

  /** Throws where there is no room for another submission. */
  check(): void {
    if (this.share >= 1)
      throw new ManabiError(
        `webgpu: ${this.state}, and at most ${this.limits.submissions} submissions or ` +
          `${showMiB(this.limits.inputBytes)} may; ${cure}`,
      );
  }

  /** Notes a submission and the bytes of the inputs that came with it. */
  add(inputBytes: number): void {
    this.total.submissions++;
    this.total.inputBytes += inputBytes;
    if (this.share >= warned && !this.told) {
      this.told = true;
      this.warn(`${this.state}: the program queues work faster than it is done; ${cure}`);
    }
    this.ask();
  }

  private get share(): number {
    return Math.max(this.submissions / this.limits.submissions, this.inputBytes / this.limits.inputBytes);
  }

  private get state(): string {
    return `${this.submissions} submissions with ${showMiB(this.inputBytes)} of inputs wait for the device`;
  }

  /** Has one question under way while anything is. */
  private ask(): void {
    if (this.asked || this.submissions === 0) return;
    this.asked = true;
    const known = { ...this.total };
    const settle = () => {
      this.asked = false;
      this.done = known;
      this.ask();
    };
    this.whenDone().then(settle, settle); // a lost device does nothing any more, and tells so elsewhere
  }
}
