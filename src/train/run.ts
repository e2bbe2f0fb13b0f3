import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { basename, join, relative } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError } from "../core/errors.ts";
import type { ProgressListener } from "../fetch/download.ts";
import { makeFolder, removeLeftovers, writeAtomic } from "../io/atomic.ts";
import { loadCheckpoint, type Parts, readCheckpoint, type SaveOptions } from "../io/checkpoint.ts";
import { CheckpointFolder, latestCheckpoint } from "../io/checkpoint-folder.ts";
import type { Stateful, StateTree } from "../io/state.ts";
import { defaultGenerator } from "../ops/random.ts";
import type { ArgValue } from "./args.ts";
import { CheckpointClock, type CheckpointPolicy } from "./checkpoint-policy.ts";
import { processCommand, quote } from "./command-line.ts";
import { readEnvironment } from "./environment.ts";
import { fetchProgress } from "./fetching.ts";
import { type MetricRecord, MetricsLog, type MetricValue, readMetrics } from "./metrics-log.ts";
import { Output, type OutputOptions } from "./output.ts";
import { Progress, type ProgressPlan } from "./progress.ts";
import type { ReportParts } from "./report/data.ts";
import { encodePng, type Picture, pngSize } from "./report/png.ts";
import { writeReport } from "./report/write.ts";
import {
  currentStatus,
  type Metric,
  type RunRecord,
  readRunRecord,
  refuseRunning,
  type Session,
  writeRunRecord,
} from "./run-record.ts";
import { type Part, statefulOf } from "./state.ts";
import { EventWriter } from "./tensorboard.ts";

/** The loss became NaN or infinite; the checkpoints before it are kept. */
export class NonFiniteLossError extends ManabiError {
  override name = "NonFiniteLossError";
  readonly step: number;

  constructor(step: number, what: string, checkpoint: string | null) {
    const kept = checkpoint ? `the last good checkpoint is ${checkpoint}` : "no checkpoint had been saved before";
    super(`step ${step}: ${what}; ${kept}. A lower learning rate, gradient clipping or a look at the data may help`);
    this.step = step;
  }
}

/** Thrown by `checkpointIfDue` after Ctrl-C, once everything is saved; ends the recipe. */
export class RunInterrupted extends Error {
  override name = "RunInterrupted";
}

export interface SessionOptions {
  /** Where text goes: options of an output of its own, or one that is shared. */
  readonly output?: OutputOptions | Output;
  /** The command to show in the record; by default that of this process. */
  readonly command?: string;
  /** What to do when a loss is NaN or infinite: "stop" (default) throws `NonFiniteLossError`, "warn" goes on. */
  readonly nonFinite?: "stop" | "warn";
  /** Saves also at multiples of this many steps, whatever the recipe says. */
  readonly saveEvery?: number;
}

export interface RunOptions extends SessionOptions {
  readonly recipe: string;
  readonly title?: string;
  readonly args: Readonly<Record<string, ArgValue>>;
  /** The value by which the best checkpoint is chosen. */
  readonly metric?: Metric | null;
  /** Folder in which the run's folder is made. Default "runs". */
  readonly root?: string;
  /** The run's folder itself; it must be new or empty of runs. */
  readonly folder?: string;
}

export interface BeginOptions extends ProgressPlan {
  /** When `checkpointIfDue` saves. Default: at every epoch and every five minutes. */
  readonly every?: CheckpointPolicy;
  /** How many of the newest checkpoints to keep, besides the best one. Default 3. */
  readonly keep?: number;
  /** Facts to store beside the state of every checkpoint, such as what it takes to use the model. */
  readonly notes?: SaveOptions["notes"];
}

/** What the log needs of a resumed run to go on: how far it was, and how much of the logs belongs to that. */
interface Cursor {
  readonly step: number;
  readonly epoch: number;
  readonly records: number;
  readonly events: number;
}

const start: Cursor = { step: 0, epoch: 0, records: 0, events: 0 };

/** A training run and its folder:
 *  `run.json`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `samples/`, `report.html`.
 *
 *  A process may be killed at any moment: a checkpoint appears whole or not at all, it is written after the logs it
 *  counts, and resuming cuts the logs back to that count. */
export class Run {
  readonly folder: string;
  readonly record: RunRecord;
  readonly output: Output;
  readonly progress: Progress;
  /** True from the first Ctrl-C on; `checkpointIfDue` acts on it. */
  stopping = false;
  readonly #started = performance.now() / 1000;
  readonly #earlier: number;
  readonly #options: SessionOptions;
  readonly #resumeFrom: string | null;
  #log!: MetricsLog;
  #events!: EventWriter;
  #parts: Parts = {};
  #notes: SaveOptions["notes"];
  #checkpoints: CheckpointFolder | null = null;
  #clock: CheckpointClock | null = null;
  #lastCheckpoint: string | null;
  /** The cursor of the newest checkpoint, to tell whether anything has happened since. */
  #saved = "";
  #score: { readonly step: number; readonly value: number } | null = null;
  #breathed = 0;
  #report: ReportParts = {};

  private constructor(folder: string, record: RunRecord, options: SessionOptions, resumeFrom: string | null) {
    this.folder = folder;
    this.record = record;
    this.output = Output.from(options.output);
    this.progress = new Progress(this.output);
    this.#options = options;
    this.#resumeFrom = resumeFrom;
    this.#lastCheckpoint = resumeFrom;
    this.#earlier = record.time;
  }

  /** Starts a run in a new folder, `<root>/<recipe>-<yyyymmdd-hhmmss>-<id>` unless one is given. */
  static async create(options: RunOptions): Promise<Run> {
    const { recipe, title = recipe, args, metric = null } = options;
    const id = randomBytes(2).toString("hex");
    const short = basename(recipe).replace(/\.[cm]?[jt]s$/, ""); // a recipe may be named by its file
    const folder = options.folder ?? join(options.root ?? "runs", `${short}-${timestamp(new Date())}-${id}`);
    if (existsSync(join(folder, "run.json")))
      throw new ManabiError(`${folder} already holds a run; resume it or choose another folder`);
    const fresh = { status: "running", error: null, step: 0, epoch: 0, time: 0, metrics: {}, best: null } as const;
    const sessions = [await newSession(options)];
    const record: RunRecord = { version: 1, id, recipe, title, args, metric, ...fresh, sessions };
    for (const part of ["", "checkpoints", "samples"]) await makeFolder(join(folder, part));
    const run = new Run(folder, record, options, null);
    await run.#open(start);
    return run;
  }

  /** Reopens an interrupted or failed run at its newest good checkpoint, or at the start when it has none. */
  static async resume(folder: string, options: SessionOptions = {}): Promise<Run> {
    const record = await readRunRecord(folder);
    refuseRunning(folder, record);
    for (const part of ["", "samples"]) await removeLeftovers(join(folder, part));
    if (currentStatus(record) === "done") throw new ManabiError(`${folder} is finished; there is nothing to resume`);
    const output = Output.from(options.output);
    const checkpoint = await latestCheckpoint(join(folder, "checkpoints"), (message) => output.warn(message));
    const cursor = checkpoint ? readCursor((await readCheckpoint(checkpoint)).parts.run) : start;
    const records = (await readMetrics(join(folder, "metrics.jsonl"))).slice(0, cursor.records);
    record.sessions.push(await newSession(options));
    Object.assign(record, { status: "running", error: null, metrics: {}, best: null });
    Object.assign(record, { step: cursor.step, epoch: cursor.epoch, time: records.at(-1)?.time ?? 0 });
    const run = new Run(folder, record, options, checkpoint);
    for (const entry of records) run.#remember(entry);
    await run.#open(cursor);
    return run;
  }

  /** Finished steps. */
  get step(): number {
    return this.record.step;
  }

  /** Finished epochs: the index of the epoch in progress. */
  get epoch(): number {
    return this.record.epoch;
  }

  /** Whether this process goes on with an earlier one's work. */
  get resumed(): boolean {
    return this.record.sessions.length > 1;
  }

  /** Seconds of training so far, over all sessions. */
  get seconds(): number {
    return this.#earlier + performance.now() / 1000 - this.#started;
  }

  /** Path of the newest checkpoint, or null. */
  get lastCheckpoint(): string | null {
    return this.#lastCheckpoint;
  }

  /** Shows the progress of a download: `mnist({ onProgress: run.fetching })`. */
  get fetching(): ProgressListener {
    return fetchProgress(this.output);
  }

  /** How to go on with this run after an interruption. */
  get resumeCommand(): string {
    const path = relative(process.cwd(), this.folder) || ".";
    return `manabi train ${quote(this.record.recipe)} --resume ${quote(path)}`;
  }

  /** Declares what a checkpoint holds, besides the default random stream, and how much there is to do; in a resumed run
   *  brings every part, `step` and `epoch` back. To be called once, before the loop. */
  async begin(parts: Readonly<Record<string, Part>>, options: BeginOptions = {}): Promise<void> {
    if (this.#clock) throw new ManabiError("run.begin was called before; give it all parts at once");
    for (const name of ["run", "random"])
      if (name in parts) throw new ManabiError(`run.begin: the part name "${name}" is taken by the run itself`);
    const { every = { epochs: 1, seconds: 300 }, keep, notes, ...plan } = options;
    this.progress.plan(plan);
    this.#notes = notes;
    const all: Record<string, Part> = { ...parts, random: defaultGenerator, run: this.#cursorPart() };
    this.#parts = Object.fromEntries(Object.entries(all).map(([name, part]) => [name, statefulOf(part)]));
    this.#checkpoints = await CheckpointFolder.open(join(this.folder, "checkpoints"), {
      keep,
      goal: this.record.metric?.goal,
    });
    if (this.#resumeFrom) {
      await loadCheckpoint(this.#resumeFrom, this.#parts);
      await this.#checkpoints.prune(this.step); // the process may have been killed between saving and pruning
      this.#saved = JSON.stringify(this.#cursor());
      this.output.info(`resuming at step ${this.step} from ${this.#resumeFrom}`);
    }
    const { saveEvery: steps } = this.#options;
    this.#clock = new CheckpointClock(steps === undefined ? every : { ...every, steps }, this.step, this.epoch);
  }

  /** Logs values at `step` (finished steps, by default the last one given). Does not wait: values that must be computed
   *  are computed in batches. Throws `NonFiniteLossError` when an earlier loss was not finite. */
  log(values: Readonly<Record<string, MetricValue>> & { readonly step?: number; readonly epoch?: number }): void {
    const { step = this.step, epoch = this.epoch, ...rest } = values;
    if (!(step >= this.step)) throw new ManabiError(`run.log: step ${step} comes after step ${this.step}`);
    if ("time" in rest) throw new ManabiError(`run.log: "time" is logged by the run itself; choose another name`);
    this.record.step = step;
    this.record.epoch = epoch;
    this.#log.add({ step, epoch, time: this.seconds, values: rest });
    this.progress.advance(step, epoch);
  }

  /** To be awaited after each step: lets signals and timers in, saves when the policy says so, and after Ctrl-C saves
   *  and throws `RunInterrupted`. Returns whether it saved. */
  async checkpointIfDue(): Promise<boolean> {
    if (performance.now() - this.#breathed > 50) {
      await breathe();
      await this.#log.drain();
      this.#breathed = performance.now();
    }
    this.#log.check();
    const due = this.#clock?.due(this.step, this.epoch) ?? false;
    if (due || this.stopping) await this.checkpoint();
    if (this.stopping) throw new RunInterrupted("interrupted");
    return due;
  }

  /** Saves a checkpoint now, unless nothing was logged since the last one. Without `begin` there is nothing to save. */
  async checkpoint(): Promise<void> {
    await this.flush(true);
    const cursor = JSON.stringify(this.#cursor());
    if (!this.#checkpoints || this.#saved === cursor) return;
    const score = this.#score?.step === this.step ? this.#score.value : undefined;
    const check = (name: string, tensor: HostArray) => this.#refuseNaN(name, tensor);
    const path = await this.#checkpoints.save(this.step, this.#parts, { score, check, notes: this.#notes });
    this.#lastCheckpoint = path;
    this.#saved = cursor;
    this.#clock?.saved(this.step, this.epoch);
    await this.#writeRecord();
    this.output.event("checkpoint", { step: this.step, path });
  }

  /** Waits until everything logged is written; with `sync`, on the disk. */
  async flush(sync = false): Promise<void> {
    await this.#log.flush(sync);
    await this.#events.flush(sync);
  }

  /** Keeps a picture as `samples/<name>-<step>.png`, in TensorBoard and in the report; returns its path. */
  async sample(name: string, picture: Picture | Uint8Array): Promise<string> {
    const png = picture instanceof Uint8Array ? picture : await encodePng(picture);
    const path = join(this.folder, "samples", `${name}-${String(this.step).padStart(9, "0")}.png`);
    await writeAtomic(path, png);
    this.#events.image(name, this.step, png, pngSize(png));
    this.output.event("sample", { step: this.step, name, path });
    return path;
  }

  /** Adds Markdown text to TensorBoard. */
  text(tag: string, markdown: string): void {
    this.#events.text(tag, this.step, markdown);
  }

  /** Adds to the report, which is written when the run ends: results, confusion matrix, mistakes, model. */
  report(parts: ReportParts): void {
    this.#report = { ...this.#report, ...parts };
  }

  /** Asks the loop to stop after the current step, as Ctrl-C does. */
  stop(): void {
    this.stopping = true;
  }

  /** Ends the run: saves the last checkpoint of a finished one, closes the logs, writes record and report. With
   *  `error` the run has failed with that; otherwise throws the first thing that goes wrong here. */
  async finish(status: "done" | "interrupted" | "failed", error: unknown = null): Promise<void> {
    const { record } = this;
    const errors: unknown[] = error === null ? [] : [error];
    const attempt = (work: () => Promise<void>) => work().catch((failure) => void errors.push(failure));
    await attempt(() => (status === "done" ? this.checkpoint() : this.flush()));
    if (this.output.live && this.step > 0) this.progress.show();
    record.status = errors.length ? "failed" : status;
    record.time = this.seconds;
    record.error = errors.length ? String(errors[0] instanceof Error ? errors[0].message : errors[0]) : null;
    record.sessions[record.sessions.length - 1].ended = new Date().toISOString();
    await attempt(() => this.#log.close());
    await attempt(() => this.#events.close());
    // The record comes last: once it says "done", a run is not resumed, so nothing may be missing.
    await attempt(async () => void (await writeReport(this.folder, this.#report, record)));
    await attempt(() => this.#writeRecord());
    this.output.event("end", { status: record.status, step: this.step, best: record.best, metrics: record.metrics });
    if (error === null && errors.length) throw errors[0];
  }

  async #open(cursor: Cursor): Promise<void> {
    const { folder } = this;
    this.#log = await MetricsLog.open(join(folder, "metrics.jsonl"), cursor.records, (entry) => this.#resolved(entry));
    this.#events = await EventWriter.open(join(folder, "tensorboard"), cursor.events, cursor.step);
    if (this.#events.count === 0) {
      this.#events.text("command", 0, `    ${this.record.sessions[0].command}`);
      this.#events.text("args", 0, `\`\`\`json\n${JSON.stringify(this.record.args, null, 2)}\n\`\`\``);
    }
    await this.#writeRecord();
    this.output.event("start", { folder, recipe: this.record.recipe, args: this.record.args, step: cursor.step });
  }

  async #writeRecord(): Promise<void> {
    this.record.time = this.seconds;
    await writeRunRecord(this.folder, this.record);
  }

  #resolved(entry: MetricRecord): void {
    this.#remember(entry);
    this.#events.scalars(entry.step, Date.now() / 1000, entry.values);
    this.progress.values(entry.values);
    this.output.event("log", { step: entry.step, epoch: entry.epoch, time: entry.time, ...entry.values });
    for (const [name, value] of Object.entries(entry.values))
      if (/(^|\/)loss$/i.test(name) && !Number.isFinite(value)) this.#nonFinite(entry.step, `${name} is ${value}`);
  }

  #nonFinite(step: number, what: string): void {
    const error = new NonFiniteLossError(step, what, this.#lastCheckpoint);
    if (this.#options.nonFinite !== "warn") throw error;
    this.output.warn(error.message);
  }

  /** Weights that are NaN would make the newest checkpoint useless, even if the loss before the update was fine. */
  #refuseNaN(name: string, { dtype, data }: HostArray): void {
    if ((dtype === "f32" || dtype === "f64") && data.some(Number.isNaN))
      this.#nonFinite(this.step, `${name} holds NaN`);
  }

  /** Takes a record into the run's last and best values. */
  #remember({ step, epoch, values }: MetricRecord): void {
    const { record } = this;
    record.metrics = { ...record.metrics, ...values };
    if (!record.metric || !(record.metric.name in values)) return;
    const value = values[record.metric.name];
    this.#score = { step, value };
    const better = record.metric.goal === "max" ? Math.max : Math.min;
    if (Number.isNaN(value) || (record.best && better(record.best.value, value) === record.best.value)) return;
    record.best = { value, step, epoch };
  }

  #cursor(): Cursor & StateTree {
    return { step: this.step, epoch: this.epoch, records: this.#log.count, events: this.#events.count };
  }

  #cursorPart(): Stateful {
    const restore = (state: StateTree) => {
      const { step, epoch } = readCursor(state);
      Object.assign(this.record, { step, epoch });
    };
    return { state: () => this.#cursor(), restore };
  }
}

/** The part "run" of a checkpoint. */
function readCursor(state: StateTree | undefined): Cursor {
  const { step, epoch, records, events } = state ?? {};
  for (const value of [step, epoch, records, events])
    if (!Number.isSafeInteger(value)) throw new FormatError(`the checkpoint is not one of a run: it has no part "run"`);
  return { step: Number(step), epoch: Number(epoch), records: Number(records), events: Number(events) };
}

async function newSession({ command = processCommand() }: SessionOptions): Promise<Session> {
  const environment = await readEnvironment();
  return { started: new Date().toISOString(), ended: null, command, pid: process.pid, host: hostname(), environment };
}

/** Local time as yyyymmdd-hhmmss. */
function timestamp(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
