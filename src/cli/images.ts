import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ManabiError } from "../core/errors.ts";
import { imageExtensions, imagesBelow } from "../data/image-folder.ts";

/** The image files that words name: files as they are, the images of folders and all below them, and patterns with `*`,
 *  `**`, `?` and `[a-z]` that the shell has left alone. Throws where a word names nothing. */
export async function findImages(words: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    words.map(async (word) => {
      const info = await stat(word).catch(() => null);
      if (info?.isFile()) return [word];
      const paths = info?.isDirectory() ? await imagesBelow(word) : wild.test(word) ? await matching(word) : null;
      if (paths === null) throw new ManabiError(`${word}: there is no such file`);
      if (!paths.length) throw new ManabiError(`${word}: no images (${[...imageExtensions].join(" ")})`);
      return paths;
    }),
  );
  return [...new Set(found.flat())];
}

const wild = /[*?]|\[[^\]/]+\]/;

/** The images that match a pattern: `*`, `?` and `[a-z]` within a name, `**` across folders. */
async function matching(pattern: string): Promise<string[]> {
  const parts = pattern.replaceAll("\\", "/").split("/");
  const first = parts.findIndex((part) => wild.test(part));
  const folder = parts.slice(0, first).join("/") || (first > 0 ? "/" : ".");
  if (!(await stat(folder).catch(() => null))?.isDirectory()) return [];
  const accepts = new RegExp(`^${parts.slice(first).map(source).join("/").replaceAll(".*/", "(?:.*/)?")}$`);
  const start = join(folder, "x").length - 1;
  return (await imagesBelow(folder)).filter((path) => accepts.test(path.slice(start).replaceAll("\\", "/")));
}

/** One part of a pattern as a regular expression. */
function source(part: string): string {
  if (part === "**") return ".*";
  return part.replace(/\*|\?|\[[^\]]+\]|[.+^${}()|[\]]/g, (found) => {
    if (found.length > 1) return found;
    return { "*": "[^/]*", "?": "[^/]" }[found] ?? `\\${found}`;
  });
}
