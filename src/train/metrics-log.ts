import { type FileHandle, open, readFile, truncate } from "node:fs/promises";
import { writeError } from "../io/atomic.ts";

/** A number now, or a value that is computed when asked for, as a scalar tensor is. */
export type MetricValue = number | { item(): number | Promise<number> };

/** One line of `metrics.jsonl`; a value that is not finite is written as null and read as NaN. */
export interface MetricRecord {
  /** Finished steps. */
  readonly step: number;
  /** Finished epochs. */
  readonly epoch: number;
  /** Seconds of training so far, over all sessions. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

type PendingRecord = Omit<MetricRecord, "values"> & { readonly values: Readonly<Record<string, MetricValue>> };

/** Values are resolved when this many records wait, or after this many milliseconds, whichever comes first. */
const batchSize = 50;
const batchTime = 200;

/** The file `metrics.jsonl`: takes records without waiting for their values, and writes them in order. */
export class MetricsLog {
  /** Records written, those of earlier sessions included. */
  count: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #onRecord: (record: MetricRecord) => void;
  #pending: PendingRecord[] = [];
  #since = 0;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  private constructor(path: string, file: FileHandle, count: number, onRecord: (record: MetricRecord) => void) {
    this.#path = path;
    this.#file = file;
    this.count = count;
    this.#onRecord = onRecord;
  }

  /** Opens the file, keeps its first `keep` records and drops the rest, a torn last line included. `onRecord` sees each
   *  new record once its values are known; what it throws stops the log. */
  static async open(path: string, keep: number, onRecord: (record: MetricRecord) => void): Promise<MetricsLog> {
    try {
      const file = await open(path, "a");
      const { ends } = parseLines(await readFile(path));
      const count = Math.min(keep, ends.length);
      await truncate(path, count ? ends[count - 1] : 0);
      return new MetricsLog(path, file, count, onRecord);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** Queues a record. Throws what went wrong with an earlier one. */
  add(record: PendingRecord): void {
    this.check();
    if (this.#pending.length === 0) this.#since = performance.now();
    this.#pending.push(record);
    // The clock is asked too, because a loop that never awaits starves timers.
    if (this.#pending.length >= batchSize || performance.now() - this.#since >= batchTime) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), batchTime).unref();
  }

  /** Throws what went wrong with an earlier record. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for the records whose batch is complete, so that a fast loop does not outrun the disk. */
  async drain(): Promise<void> {
    await this.#work;
    this.check();
  }

  /** Waits until all records are in the file; with `sync`, on the disk. */
  async flush(sync = false): Promise<void> {
    this.#start();
    await this.#work;
    this.check();
    if (sync) await this.#file.sync();
  }

  /** Writes what can be written and closes the file. */
  async close(): Promise<void> {
    await this.flush().finally(() => this.#file.close());
  }

  #start(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    this.#work = this.#work
      .then(() => (this.#failure ? undefined : this.#write(batch)))
      .catch((error) => {
        this.#failure ??= { error };
      });
  }

  async #write(batch: readonly PendingRecord[]): Promise<void> {
    const lines: string[] = [];
    try {
      for (const pending of batch) {
        const record = await resolveRecord(pending);
        lines.push(formatLine(record));
        this.count++;
        this.#onRecord(record);
      }
    } finally {
      if (lines.length) await this.#append(lines.join(""));
    }
  }

  async #append(text: string): Promise<void> {
    try {
      await this.#file.appendFile(text);
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }
}

async function resolveRecord({ values, ...rest }: PendingRecord): Promise<MetricRecord> {
  const resolved: Record<string, number> = {};
  for (const [name, value] of Object.entries(values))
    resolved[name] = typeof value === "number" ? value : await value.item();
  return { ...rest, values: resolved };
}

const formatLine = ({ step, epoch, time, values }: MetricRecord): string =>
  `${JSON.stringify({ step, epoch, time: Number(time.toFixed(3)), ...values })}\n`;

/** The records of a `metrics.jsonl` in order, up to a torn or damaged line. A missing file has none. */
export async function readMetrics(path: string): Promise<MetricRecord[]> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  return parseLines(bytes).records;
}

/** The leading whole records, and the byte at which each ends. */
function parseLines(bytes: Buffer): { records: MetricRecord[]; ends: number[] } {
  const records: MetricRecord[] = [];
  const ends: number[] = [];
  for (let at = 0, newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, at)) {
    const record = parseLine(bytes.toString("utf8", at, newline));
    if (!record) break;
    at = newline + 1;
    records.push(record);
    ends.push(at);
  }
  return { records, ends };
}

function parseLine(line: string): MetricRecord | null {
  try {
    const { step, epoch, time, ...rest } = JSON.parse(line);
    if (typeof step !== "number" || typeof epoch !== "number" || typeof time !== "number") return null;
    const values: Record<string, number> = {};
    for (const [name, value] of Object.entries(rest)) values[name] = typeof value === "number" ? value : Number.NaN;
    return { step, epoch, time, values };
  } catch {
    return null;
  }
}
