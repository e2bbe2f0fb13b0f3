import { basename, extname, join } from "node:path";
import type { HostArray } from "../core/dtype.ts";
import { imageMethods } from "../explain/image-methods.ts";
import { renderExplanations, type ShownPicture } from "../explain/page.ts";
import type { RemovalCurve, RemovalCurves } from "../explain/trust/deletion-insertion.ts";
import type { RandomizationResult, RandomizationStep } from "../explain/trust/randomization.ts";
import { makeFolder, writeAtomic } from "../io/atomic.ts";
import { writeSafetensors } from "../io/safetensors-file.ts";
import { processCommand } from "../train/command-line.ts";
import { packageVersion } from "../train/environment.ts";
import { encodePng, type Picture } from "../train/report/png.ts";
import type { ClassResult, MethodResult } from "./explaining.ts";

/** What was found out about one picture. */
export interface PictureResult {
  readonly path: string;
  readonly view: Picture;
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
  readonly classes: readonly ClassResult[];
}

/** What `explanation.json` holds. */
export interface WrittenExplanations {
  readonly version: 1;
  readonly model: string;
  readonly command: string;
  readonly pictures: readonly {
    readonly path: string;
    readonly predictions: PictureResult["predictions"];
    readonly classes: readonly WrittenClass[];
  }[];
}

interface WrittenClass extends Pick<ClassResult, "index" | "label" | "probability"> {
  /** The curves of maps that know nothing, where explanations were checked. */
  readonly chance: WrittenCurves | null;
  readonly methods: readonly WrittenMethod[];
}

interface WrittenMethod {
  readonly name: string;
  readonly seconds: number;
  /** The map over the picture. */
  readonly file: string;
  /** The map itself: a tensor f32 [height, width] of `maps.safetensors`. */
  readonly map: string;
  readonly facts: Readonly<Record<string, number | string>>;
  readonly curves: WrittenCurves | null;
  readonly randomization: WrittenRandomization | null;
}

type WrittenCurves = Readonly<Record<"deletion" | "insertion", { area: number; scores: readonly number[] }>>;
type WrittenRandomization = Pick<RandomizationResult, "verdict"> & {
  readonly steps: readonly Omit<RandomizationStep, "maps">[];
};

/** Writes pictures, `maps.safetensors`, `explanation.json` and `index.html` into a folder; returns what the JSON holds. */
export async function writeExplanations(
  folder: string,
  model: string,
  results: readonly PictureResult[],
): Promise<WrittenExplanations> {
  await makeFolder(folder);
  const maps = new Map<string, HostArray>();
  const names = new Set<string>();
  const pictures = [];
  for (const { path, predictions, classes } of results) {
    const stem = unused(basename(path, extname(path)), names);
    const written: WrittenClass[] = [];
    for (const { methods, chance, ...asked } of classes) {
      const files: WrittenMethod[] = [];
      for (const method of methods) {
        const map = [stem, asked.label, method.name].map(plain).join("-");
        maps.set(map, {
          dtype: "f32",
          shape: [method.heatmap.height, method.heatmap.width],
          data: method.heatmap.data,
        });
        await writeAtomic(join(folder, `${map}.png`), method.png);
        files.push(writtenMethod(method, map));
      }
      written.push({ ...asked, chance: chance && curvesOf(chance), methods: files });
    }
    pictures.push({ path, predictions, classes: written });
  }
  const json: WrittenExplanations = { version: 1, model, command: processCommand(), pictures };
  await writeSafetensors(join(folder, "maps.safetensors"), maps);
  await writeAtomic(join(folder, "explanation.json"), `${JSON.stringify(json, null, 2)}\n`);
  await writeAtomic(join(folder, "index.html"), await pageOf(model, json.command, results));
  return json;
}

function writtenMethod({ name, seconds, facts, curves, randomization }: MethodResult, map: string): WrittenMethod {
  return {
    ...{ name, seconds, map, file: `${map}.png` },
    facts: Object.fromEntries(facts.map(({ label, value }) => [label, value])),
    curves: curves && curvesOf(curves),
    randomization: randomization && {
      verdict: randomization.verdict,
      steps: randomization.steps.map(({ maps, ...step }) => step),
    },
  };
}

function curvesOf({ deletion, insertion }: RemovalCurves): WrittenCurves {
  const curve = ({ area, scores }: RemovalCurve) => ({ area, scores: [...scores] });
  return { deletion: curve(deletion), insertion: curve(insertion) };
}

async function pageOf(model: string, command: string, results: readonly PictureResult[]): Promise<string> {
  const pictures = results.map(
    async ({ path, view, predictions, classes }): Promise<ShownPicture> => ({
      ...{ path, predictions, png: await encodePng(view) },
      classes: classes.map(({ methods, ...shown }) => ({
        ...shown,
        methods: methods.map((method) => ({ ...imageMethods[method.name], ...method })),
      })),
    }),
  );
  return renderExplanations({ model, command, version: await packageVersion(), pictures: await Promise.all(pictures) });
}

/** A name as part of a file's name. */
const plain = (name: string): string =>
  name
    .replaceAll("+", "p")
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/^\.+/, "");

/** A name that is not among `names` yet, with a number if need be; it is added to them. */
function unused(name: string, names: Set<string>): string {
  let free = name;
  for (let i = 2; names.has(free); i++) free = `${name}-${i}`;
  names.add(free);
  return free;
}
