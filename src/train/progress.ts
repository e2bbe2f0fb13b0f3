import type { Output } from "./output.ts";

export interface ProgressPlan {
  /** What is being done, where that needs saying. */
  readonly title?: string;
  /** Steps of the whole run; gives percentage and time left. */
  readonly steps?: number;
  /** Epochs of the whole run. */
  readonly epochs?: number;
  /** What one step handles, for the rate: 128 "images". */
  readonly itemsPerStep?: number;
  readonly unit?: string;
}

/** Seconds of the past that the rate looks at. */
const rateWindow = 15;
const barWidth = 24;

/** The line that says how far a run is: bar, step, epoch, values, rate, time left. */
export class Progress {
  readonly #output: Output;
  readonly #now: () => number;
  #plan: ProgressPlan = {};
  #step = 0;
  #epoch = 0;
  #values: Readonly<Record<string, number>> = {};
  #marks: { time: number; step: number }[] = [];
  #shown = Number.NEGATIVE_INFINITY;

  /** `now` gives seconds. */
  constructor(output: Output, now: () => number = () => performance.now() / 1000) {
    this.#output = output;
    this.#now = now;
  }

  /** Tells how much there is to do. */
  plan(plan: ProgressPlan): void {
    this.#plan = plan;
  }

  /** Sets the number of finished steps and epochs; redraws when it is time. */
  advance(step: number, epoch: number): void {
    const now = this.#now();
    this.#step = step;
    this.#epoch = epoch;
    const last = this.#marks.at(-1);
    if (!last || step < last.step) this.#marks = [{ time: now, step }];
    else if (now - last.time >= 0.5) {
      this.#marks.push({ time: now, step });
      if (this.#marks.length > 2 && now - this.#marks[1].time > rateWindow) this.#marks.shift();
    }
    // The first line of a log file comes after ten seconds, a terminal is drawn at once.
    if (this.#shown === Number.NEGATIVE_INFINITY && !this.#output.live) this.#shown = now;
    if (now - this.#shown >= (this.#output.live ? 0.1 : 10)) this.show();
  }

  /** Values to show, added to those known: loss, accuracy. */
  values(values: Readonly<Record<string, number>>): void {
    this.#values = { ...this.#values, ...values };
  }

  /** Steps per second over the last seconds, or null at the start. */
  get rate(): number | null {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (!first || !last || last.step === first.step) return null;
    return (last.step - first.step) / (last.time - first.time);
  }

  /** Draws the line now. */
  show(): void {
    this.#shown = this.#now();
    this.#output.status(this.line());
  }

  /** The line itself. */
  line(): string {
    const { title, steps, epochs, itemsPerStep = 1, unit = "steps" } = this.#plan;
    const parts: string[] = title === undefined ? [] : [title];
    if (steps) {
      const done = Math.min(1, this.#step / steps);
      const filled = Math.round(done * barWidth);
      const percent = `${Math.floor(done * 100)}%`.padStart(4);
      parts.push(`${percent} ${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`);
    }
    parts.push(`step ${this.#step}${steps ? `/${steps}` : ""}`);
    if (epochs) parts.push(`epoch ${Math.min(this.#epoch + 1, epochs)}/${epochs}`);
    for (const [name, value] of Object.entries(this.#values)) parts.push(`${name} ${showNumber(value)}`);
    const rate = this.rate;
    if (rate !== null) parts.push(`${showNumber(rate * itemsPerStep)} ${unit}/s`);
    if (rate !== null && steps && this.#step < steps) parts.push(`${showDuration((steps - this.#step) / rate)} left`);
    return parts.join("  ");
  }
}

/** Four significant digits, without exponent where it can be read: 0.01234, 12.35, 1235. */
export function showNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e9) return Math.round(value).toLocaleString("en-US");
  return size !== 0 && (size < 1e-3 || size >= 1e9) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** Seconds as 0:07, 12:34 or 1:02:03. */
export function showDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
