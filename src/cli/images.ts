import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { ManabiError } from "../core/errors.ts";

const extensions: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff"]);

/** The image files that words name: files as they are, the images of folders and all below them, and patterns with `*`,
 *  `**` and `?` that the shell has left alone. Throws where a word names nothing. */
export async function findImages(words: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    words.map(async (word) => {
      const info = await stat(word).catch(() => null);
      if (info?.isFile()) return [word];
      const paths = info?.isDirectory()
        ? (await below(word)).filter(isImage)
        : /[*?]/.test(word)
          ? await matching(word)
          : null;
      if (paths === null) throw new ManabiError(`${word}: there is no such file`);
      if (!paths.length) throw new ManabiError(`${word}: no images (${[...extensions].join(" ")})`);
      return paths;
    }),
  );
  return [...new Set(found.flat())];
}

const isImage = (path: string): boolean => extensions.has(extname(path).toLowerCase());

/** Every file below a folder, by name. */
async function below(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const lists = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? below(path) : [path];
    }),
  );
  return lists.flat();
}

/** The images that match a pattern: `*` and `?` within a name, `**` across folders. */
async function matching(pattern: string): Promise<string[]> {
  const parts = pattern.replaceAll("\\", "/").split("/");
  const fixed = parts.slice(
    0,
    parts.findIndex((part) => /[*?]/.test(part)),
  );
  const folder = fixed.length ? fixed.join("/") || "/" : ".";
  if (!(await stat(folder).catch(() => null))?.isDirectory()) return [];
  const source = parts
    .slice(fixed.length)
    .join("/")
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/|\*|\?/g, (wild) => ({ "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]" })[wild] ?? wild);
  const accepts = new RegExp(`^${source}$`);
  const base = folder === "/" ? 1 : join(folder, "x").length - 1;
  return (await below(folder)).filter((path) => {
    const rest = folder === "." ? path : path.slice(base);
    return accepts.test(rest.replaceAll("\\", "/")) && isImage(path);
  });
}
