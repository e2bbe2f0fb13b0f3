/** A value that tells its listeners when it changes. */
export class Signal<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }
  set value(next: T) {
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` after each change. */
  listen(listener: () => void): void {
    this.#listeners.add(listener);
  }
}

/** Anything that tells of its changes. */
export type Changing = Pick<Signal<unknown>, "listen">;

/** Runs `effect` now and after each change of one of the signals. */
export function watch(signals: readonly Changing[], effect: () => void): void {
  for (const signal of signals) signal.listen(effect);
  effect();
}
