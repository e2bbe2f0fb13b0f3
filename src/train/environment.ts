import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { promisify } from "node:util";
import { type MatrixPrecision, matrixPrecision } from "../graph/precision.ts";

/** What a result depends on besides the code: versions and hardware. */
export interface Environment {
  readonly manabi: string;
  readonly node: string;
  readonly os: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** Of matrix products. */
  readonly precision: MatrixPrecision;
  /** The commit of the working folder, and whether tracked files differ from it; null outside a repository. */
  readonly git: { readonly commit: string; readonly dirty: boolean } | null;
}

/** Describes this process and machine. */
export async function readEnvironment(): Promise<Environment> {
  return {
    manabi: await packageVersion(),
    node: process.version,
    os: `${type()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    precision: matrixPrecision(),
    git: await gitState(),
  };
}

/** The version of this package; its folder is one level further up in the compiled tree than in the source tree. */
export async function packageVersion(): Promise<string> {
  for (const path of ["../../package.json", "../../../package.json"]) {
    const text = await readFile(new URL(path, import.meta.url), "utf8").catch(() => null);
    const manifest: { name?: string; version?: string } = text === null ? {} : JSON.parse(text);
    if (manifest.name === "manabi" && manifest.version) return manifest.version;
  }
  return "unknown";
}

async function gitState(): Promise<Environment["git"]> {
  const git = (...args: string[]) => promisify(execFile)("git", args, { timeout: 2000 });
  try {
    const commit = (await git("rev-parse", "HEAD")).stdout.trim();
    const changes = (await git("status", "--porcelain", "--untracked-files=no")).stdout;
    return { commit, dirty: changes !== "" };
  } catch {
    return null; // no git, no repository, or no commit yet
  }
}
