import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileSource } from "../../fetch/providers.ts";
import { type AcquireOptions, acquire, type CachedFile, type Manifest } from "../../fetch/sources.ts";
import type { Weights } from "./catalogue.ts";
import { parseJson, timmFacts } from "./config-json.ts";

const manifestOf = (repository: string): Manifest<CachedFile> => {
  const base = `https://huggingface.co/${repository}/resolve/main/`;
  const files: readonly CachedFile[] = [{ name: "model.safetensors" }, { name: "config.json" }];
  const name = repository.replace("/", "--");
  return { name, kind: "weights", files, sources: [fileSource([base])] };
};

/** The weights of a repository, described by its config.json, which comes along. Hugging Face's files are not pinned:
 *  what is there now is taken, and kept. */
export async function timmRepository(repository: string, options: AcquireOptions): Promise<Weights> {
  const manifest = manifestOf(repository);
  const path = join(await acquire(manifest, options), "config.json");
  const { licence, ...facts } = timmFacts(path, parseJson(path, await readFile(path, "utf8")));
  return {
    ...facts,
    name: repository,
    manifest,
    top1: null,
    licence: licence ?? "see its page",
    homepage: `https://huggingface.co/${repository}`,
  };
}
