import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import type { HostArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { seedKey } from "../../core/rng.ts";
import { type DatasetReport, knownDatasets, reportDataset } from "../../data/catalogue.ts";
import type { Dataset } from "../../data/dataset.ts";
import { openSplits } from "../../data/open.ts";
import { applyTransforms } from "../../data/transforms/index.ts";
import { centerCrop, resize } from "../../data/transforms/literals.ts";
import { fetchProgress } from "../../train/fetching.ts";
import { contactSheet } from "../../train/pictures.ts";
import { encodePng, type Picture } from "../../train/report/png.ts";
import { outputOf, printJson, type Shell, showBytes, table } from "../shell.ts";

interface Options {
  readonly out?: string;
  readonly json?: boolean;
}

/** Of how many classes, and how many images of each, a contact sheet shows. */
const sheetRows = 20;
const sheetColumns = 16;

/** `manabi data`: what can be learned from. */
export const dataCommand = (shell: Shell): Command =>
  new Command("data")
    .description("list the known data sets, or look into one")
    .argument("[name]", "a known data set, which is fetched, or a folder of images")
    .option("--out <file.png>", "where to write the contact sheet (default: <name>.png)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  manabi data\n  manabi data mnist\n  manabi data photos --out photos.png")
    .action(async (name: string | undefined, options: Options) => {
      if (name === undefined) await list(shell, options);
      else await look(shell, name, options);
    });

const summary = ({ dataset, folder, cached, bytes, sources }: DatasetReport) => {
  const { name, title, classCount, train, test, imageShape, licence, homepage } = dataset;
  return { name, title, classCount, train, test, imageShape, licence, homepage, cached, folder, bytes, sources };
};

async function list(shell: Shell, { json }: Options): Promise<void> {
  const reports = await Promise.all(knownDatasets.map((dataset) => reportDataset(dataset)));
  if (json) return printJson(shell, reports.map(summary));
  const output = outputOf(shell, { json });
  output.info(
    table(
      ["name", "what", "classes", "train", "test", "image", "size", "cached"],
      reports.map(({ dataset, bytes, cached }) => [
        dataset.name,
        dataset.title,
        String(dataset.classCount),
        String(dataset.train),
        String(dataset.test),
        dataset.imageShape.join("x"),
        showBytes(bytes),
        cached ? "yes" : "no",
      ]),
      ["classes", "train", "test", "size"],
    ),
  );
  output.info("\nLicences:");
  for (const { dataset } of reports)
    output.info(`  ${dataset.name.padEnd(14)} ${dataset.licence}; ${dataset.homepage}`);
  output.info("\nYour own pictures: a folder with one folder per class; look at it with: manabi data <folder>");
}

async function look(shell: Shell, name: string, { out, json }: Options): Promise<void> {
  const output = outputOf(shell, { json });
  const splits = await openSplits(name, { onProgress: fetchProgress(output) });
  const path = resolve(out ?? `${name.replace(/[\\/]+$/, "").replace(/.*[\\/]/, "")}.png`);
  await writeFile(path, await encodePng(await sheetOf(splits.train)));
  const counts = (part: Dataset) => {
    const found = splits.classes.map(() => 0);
    for (const label of part.labels ?? []) found[label]++;
    return found;
  };
  const [train, test] = [counts(splits.train), counts(splits.test)];
  if (json) {
    const classes = splits.classes.map((label, c) => ({ label, train: train[c], test: test[c] }));
    return printJson(shell, {
      name,
      train: splits.train.length,
      test: splits.test.length,
      classes,
      contactSheet: path,
    });
  }
  output.info(`${name}: ${splits.train.length} images to train with, ${splits.test.length} to test with\n`);
  const rows = splits.classes.map((label, c) => [label, String(train[c]), String(test[c])]);
  output.info(table(["class", "train", "test"], rows, ["train", "test"]));
  output.info(
    `\nContact sheet, one row per class${splits.classes.length > sheetRows ? ` (the first ${sheetRows})` : ""}: ${path}`,
  );
}

/** The first images of each class, a row for each, those of folders cut to squares of 64 pixels. */
async function sheetOf(dataset: Dataset): Promise<Picture> {
  const labels = dataset.labels ?? new Int32Array(dataset.length);
  const rows = dataset.classes.slice(0, sheetRows).map(() => [] as number[]);
  for (const [i, label] of labels.entries()) if (rows[label]?.length < sheetColumns) rows[label].push(i);
  const load = async (index: number): Promise<HostArray> => {
    const [image] = await dataset.get(index);
    if (typeof image === "number") throw new ManabiError(`${dataset.describe(index)} is no image`);
    return image;
  };
  const images = await Promise.all(rows.map((row) => Promise.all(row.map(load))));
  const side = Math.min(64, ...images.flat().map(({ shape }) => Math.min(shape[0], shape[1])));
  const pictures = images.map((row) => row.map((image) => thumbnail(image, side)));
  const [{ channels }] = pictures.flat();
  const blank: Picture = {
    width: side,
    height: side,
    channels,
    data: new Uint8Array(side * side * channels).fill(128),
  };
  return contactSheet(
    pictures.flatMap((row) => [...row, ...Array.from({ length: sheetColumns - row.length }, () => blank)]),
    sheetColumns,
  );
}

function thumbnail(image: HostArray, side: number): Picture {
  const { shape, data } = applyTransforms([resize(side), centerCrop(side)], image, seedKey(0));
  return { height: shape[0], width: shape[1], channels: shape[2] === 1 ? 1 : 3, data: Uint8Array.from(data) };
}
