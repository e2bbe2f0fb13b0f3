import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** The per-user cache folder: `$XDG_CACHE_HOME/manabi`, or the platform's customary place. */
export function cacheRoot(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "manabi");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "manabi");
  if (process.platform === "win32") return join(LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "manabi", "cache");
  return join(homedir(), ".cache", "manabi");
}

/** Makes `path` and its parents, new ones readable by this user only, and returns it. */
export async function privateFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}
