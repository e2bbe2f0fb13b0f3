import { ManabiError } from "../core/errors.ts";

/** When to save: at multiples of steps or epochs, and after so many seconds; whichever comes first. */
export interface CheckpointPolicy {
  readonly steps?: number;
  readonly epochs?: number;
  readonly seconds?: number;
}

/** Tells when a checkpoint is due. Steps and epochs count from zero of the run, not from the last save, so that a run
 *  which was interrupted in between saves at the same steps as one that was not. */
export class CheckpointClock {
  readonly #policy: CheckpointPolicy;
  readonly #now: () => number;
  #step: number;
  #epoch: number;
  #time: number;

  /** `now` gives seconds. */
  constructor(
    policy: CheckpointPolicy,
    step: number,
    epoch: number,
    now: () => number = () => performance.now() / 1000,
  ) {
    for (const [name, value] of Object.entries(policy))
      if (!(value > 0)) throw new ManabiError(`checkpoint policy: ${name} is ${value}; a positive number is needed`);
    this.#policy = policy;
    this.#now = now;
    this.#step = step;
    this.#epoch = epoch;
    this.#time = now();
  }

  due(step: number, epoch: number): boolean {
    const { steps = Infinity, epochs = Infinity, seconds = Infinity } = this.#policy;
    return (
      Math.floor(step / steps) > Math.floor(this.#step / steps) ||
      Math.floor(epoch / epochs) > Math.floor(this.#epoch / epochs) ||
      (this.#now() - this.#time >= seconds && step > this.#step)
    );
  }

  /** Notes that a checkpoint has been saved. */
  saved(step: number, epoch: number): void {
    this.#step = step;
    this.#epoch = epoch;
    this.#time = this.#now();
  }
}
