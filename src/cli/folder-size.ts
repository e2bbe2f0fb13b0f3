import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of all files below `folder`; 0 when it does not exist. */
export async function folderSize(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return folderSize(path);
      return entry.isFile() ? ((await stat(path).catch(() => null))?.size ?? 0) : 0;
    }),
  );
  return sizes.reduce((a, b) => a + b, 0);
}
