import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { centerCrop, normalize, resize } from "../../data/index.ts";
import { fileSource } from "../../fetch/providers.ts";
import { type AcquireOptions, acquire, type CachedFile, type Manifest } from "../../fetch/sources.ts";
import { FormatError, ManabiError } from "../../index.ts";
import type { Weights } from "./catalogue.ts";
import { imagenetClasses } from "./imagenet-classes.ts";

/** What a repository's config.json says, as far as it is read. */
interface Config {
  readonly architecture: string;
  readonly num_classes: number;
  readonly label_names?: readonly string[];
  readonly pretrained_cfg: {
    readonly input_size: readonly number[];
    readonly test_input_size?: readonly number[];
    readonly crop_pct: number;
    readonly test_crop_pct?: number;
    readonly interpolation: "bilinear" | "bicubic";
    readonly mean: readonly number[];
    readonly std: readonly number[];
    readonly classifier: string;
    readonly license?: string;
  };
}

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
  const config = parseConfig(path, await readFile(path, "utf8"));
  const { pretrained_cfg: settings, num_classes: count, label_names: labels } = config;
  const [channels, height, width] = settings.test_input_size ?? settings.input_size;
  const { interpolation, mean, std, classifier, license = "see its page" } = settings;
  const shorter = Math.floor(height / (settings.test_crop_pct ?? settings.crop_pct));
  const numbers = Array.from({ length: count }, (_, i) => String(i));
  return {
    name: repository,
    model: config.architecture,
    options: {},
    head: classifier,
    classes: labels ?? (count === imagenetClasses.length ? imagenetClasses : numbers),
    input: {
      height,
      width,
      channels,
      transforms: [resize(shorter, interpolation), centerCrop([height, width]), normalize(mean, std)],
    },
    manifest,
    top1: null,
    licence: license,
    homepage: `https://huggingface.co/${repository}`,
  };
}

function parseConfig(path: string, text: string): Config {
  let config: Config;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path}: not valid JSON; delete it, so that it is fetched again`, { cause: error });
  }
  const { architecture, num_classes: count, pretrained_cfg: settings } = config ?? {};
  const sizes = settings?.test_input_size ?? settings?.input_size;
  const complete =
    typeof architecture === "string" &&
    Number.isInteger(count) &&
    sizes?.length === 3 &&
    sizes.every((d) => Number.isInteger(d) && d > 0) &&
    settings.mean.length === sizes[0] &&
    settings.std.length === sizes[0] &&
    settings.crop_pct > 0 &&
    typeof settings.classifier === "string";
  if (!complete) throw new FormatError(`${path}: this is no configuration of an image classifier of timm`);
  if (settings.interpolation !== "bilinear" && settings.interpolation !== "bicubic")
    throw new ManabiError(`${path}: interpolation "${settings.interpolation}"; bilinear and bicubic are supported`);
  return config;
}
