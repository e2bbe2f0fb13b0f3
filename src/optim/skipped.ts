import { evaluate } from "../backends/evaluate.ts";
import { backend } from "../backends/select.ts";
import { ManabiError } from "../core/errors.ts";
import { type DeviceArray, isOnHost } from "../core/value.ts";
import { tensor } from "../ops/tensor.ts";
import { variable } from "../ops/variable.ts";

/** Updates that may be done on a device before the host has read a count of it. */
const mostUnread = 64;

/**
 * The updates that a scaler has had skipped. The count is part of the jitted step; where it lies on a device, the host
 * knows how many there were some updates ago, and works out what follows for every count that there may be by now.
 */
export class SkippedUpdates {
  /** i32 []. */
  readonly count = variable(tensor(0, { dtype: "i32" }));
  #known = 0;
  #asOf = 0;
  #reading: DeviceArray | null = null;

  /** Counts that are possible at one update: the one that is known, and those above it. */
  get candidates(): number {
    return backend().memory === "device" ? mostUnread : 1;
  }

  /** The least count possible before update number `step`. In host memory the step before is over: it is exact. */
  least(step: number): number {
    const [value] = evaluate([this.count.cell.node]);
    if (isOnHost(value)) {
      [this.#known, this.#asOf, this.#reading] = [value[0], step, null];
      return this.#known;
    }
    if (step - this.#asOf >= mostUnread)
      throw new ManabiError(
        `optimizer: ${mostUnread} updates with a gradScaler have been started and none has been awaited; await the loss ` +
          "now and then, so that the count of skipped updates can be read from the device",
      );
    if (!this.#reading) {
      this.#reading = value;
      value.read().then(
        ([count]) => {
          if (this.#reading !== value) return;
          [this.#known, this.#asOf, this.#reading] = [count, step, null];
        },
        () => {}, // whoever uses the device next is told
      );
    }
    return this.#known;
  }
}
