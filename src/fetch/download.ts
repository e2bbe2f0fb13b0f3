import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ManabiError } from "../core/errors.ts";

/** Called as bytes arrive; `total` is null while unknown. */
export type ProgressListener = (progress: {
  readonly what: string;
  readonly bytes: number;
  readonly total: number | null;
}) => void;

export interface DownloadOptions {
  /** Hex SHA-256 of the whole file, or its first digits; a file that differs is deleted and an error thrown. */
  readonly sha256?: string;
  /** Exact size in bytes; also the most that is accepted. */
  readonly bytes?: number;
  /** Keep only the first `firstBytes` bytes of the file. */
  readonly firstBytes?: number;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
  /** Where a broken download waits to be continued; the folder of the target by default. Same file system. */
  readonly parts?: string;
  /** Attempts after the first, for failures that may pass. */
  readonly retries?: number;
  /** Wait before the first retry; each further one waits twice as long. */
  readonly backoffMs?: number;
  /** Give up an attempt when nothing arrives for this long. */
  readonly stallMs?: number;
}

/** A failure that another attempt may cure. */
class Transient extends ManabiError {
  override name = "Transient";
}

/**
 * Fetches `url` into the file `target`: streamed to a part file, resumed after a broken attempt or a killed process,
 * checked, then renamed, so that `target` is either whole or absent. Processes may do the same at once.
 */
export async function download(url: string, target: string, options: DownloadOptions = {}): Promise<void> {
  const { retries = 3, backoffMs = 500, parts = dirname(target), signal } = options;
  const shared = join(parts, `${basename(target)}.part`);
  const part = await claimPart(shared);
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await receive(url, part, options);
        await verify(url, part, options);
        break;
      } catch (error) {
        if (!(error instanceof Transient) || attempt >= retries) throw error;
        await sleep(backoffMs * 2 ** attempt, undefined, { signal });
      }
    }
    await rename(part, target);
  } catch (error) {
    await rename(part, shared).catch(() => {}); // left for another attempt to continue; absent if nothing came
    throw error;
  } finally {
    claimed.delete(part);
  }
}

/** Hex SHA-256 of a file, read as a stream. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** Part files that downloads of this process write. */
const claimed = new Set<string>();
let claims = 0;

/**
 * A part file that nobody else writes, `<shared>.<process>-<number>`. It continues what an earlier attempt left, if
 * there is such a file and it is gained by a rename, which only one can do.
 */
async function claimPart(shared: string): Promise<string> {
  const own = `${shared}.${process.pid}-${claims++}`;
  claimed.add(own);
  const prefix = basename(shared);
  for (const name of await readdir(dirname(shared))) {
    const path = join(dirname(shared), name);
    if (!name.startsWith(prefix) || isWritten(path, name.slice(prefix.length))) continue;
    const gained = await rename(path, own).then(
      () => true,
      () => false,
    );
    if (gained) break;
  }
  return own;
}

/** Whether a part file with this suffix is being written: by us, or by a process that is alive. */
function isWritten(path: string, suffix: string): boolean {
  if (!suffix) return false;
  const pid = Number(/^\.(\d+)-\d+$/.exec(suffix)?.[1] ?? Number.NaN);
  return Number.isNaN(pid) || (pid === process.pid ? claimed.has(path) : isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => null))?.size ?? 0;

async function receive(url: string, part: string, options: DownloadOptions): Promise<void> {
  const { bytes, firstBytes, onProgress, stallMs = 30_000 } = options;
  const limit = firstBytes ?? bytes ?? Number.POSITIVE_INFINITY;
  let have = await sizeOf(part);
  if (have > limit) {
    await rm(part);
    have = 0;
  }
  if (have === limit) return;

  const stall = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stall.signal]) : stall.signal;
  let timer = setTimeout(() => stall.abort(), stallMs);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stall.abort(), stallMs);
  };
  try {
    const response = await request(url, have, firstBytes, signal);
    if (response.status === 416) {
      await rm(part); // longer than the file: it belongs to another version of it
      throw new Transient(`${url}: the server has nothing after byte ${have}; starting again`);
    }
    const resumed = response.status === 206 && startsAt(response, have);
    if (!resumed) have = 0;
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const encoded = response.headers.has("content-encoding"); // then the length is not the content's
    const total = Number.isNaN(length) || encoded ? (bytes ?? firstBytes ?? null) : Math.min(have + length, limit);
    const file = await open(part, resumed ? "a" : "w", 0o600);
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        alive();
        const taken = chunk.subarray(0, limit - have);
        await file.appendFile(taken);
        have += taken.length;
        onProgress?.({ what: basename(url), bytes: have, total });
        if (have >= limit && firstBytes !== undefined) break;
        if (taken.length < chunk.length)
          throw new ManabiError(`${url}: the server sends more than the ${limit} bytes the file has`);
      }
    } finally {
      await file.close();
    }
    if (total !== null && have < total) throw new Transient(`${url}: the connection ended at byte ${have} of ${total}`);
  } catch (error) {
    if (options.signal?.aborted || error instanceof ManabiError) throw error;
    if (stall.signal.aborted) throw new Transient(`${url}: nothing arrived for ${stallMs} ms`);
    throw describeFailure(url, error);
  } finally {
    clearTimeout(timer);
  }
}

async function request(url: string, from: number, firstBytes: number | undefined, signal: AbortSignal) {
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (from > 0 || firstBytes !== undefined)
    headers.range = `bytes=${from}-${firstBytes === undefined ? "" : firstBytes - 1}`;
  const response = await fetch(url, { headers, signal });
  if (response.ok || (response.status === 416 && from > 0)) return response;
  const passing = response.status >= 500 || response.status === 429 || response.status === 408;
  throw new (passing ? Transient : ManabiError)(
    `${url}: the server answered ${response.status} ${response.statusText}`,
  );
}

const startsAt = (response: Response, from: number): boolean =>
  response.headers.get("content-range")?.match(/^bytes (\d+)-/)?.[1] === String(from);

/** Broken connections may heal; an unknown host or a refused connection will not within seconds. */
function describeFailure(url: string, error: unknown): ManabiError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const lasting = /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ENOSPC|EACCES|EROFS|CERT_|ERR_TLS)/;
  const message = `${url}: ${cause instanceof Error ? cause.message || code : String(cause)}`;
  return lasting.test(code) ? new ManabiError(message, { cause }) : new Transient(message, { cause });
}

async function verify(url: string, part: string, { sha256, bytes, firstBytes }: DownloadOptions): Promise<void> {
  const size = await sizeOf(part);
  const expected = firstBytes === undefined ? bytes : undefined;
  if (expected !== undefined && size !== expected) {
    await rm(part, { force: true });
    throw new Transient(`${url}: ${size} bytes arrived, the file has ${expected}`);
  }
  if (!sha256) return;
  const actual = await sha256OfFile(part);
  if (actual.startsWith(sha256)) return;
  await rm(part, { force: true });
  throw new Transient(`${url}: SHA-256 is ${actual}, expected ${sha256}; the download was discarded`);
}
