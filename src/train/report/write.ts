import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomic } from "../../io/atomic.ts";
import { readMetrics } from "../metrics-log.ts";
import { type RunRecord, readRunRecord } from "../run-record.ts";
import type { ReportParts, ReportPicture } from "./data.ts";
import { renderReport } from "./page.ts";

/** The newest of a run's sample pictures are shown. */
const sampleLimit = 24;

/** Writes `report.html` of a run folder from its record (by default the one on disk), its metrics, its samples and what
 *  the recipe adds; returns the path. */
export async function writeReport(folder: string, parts: ReportParts, known?: RunRecord): Promise<string> {
  const record = known ?? (await readRunRecord(folder));
  const metrics = await readMetrics(join(folder, "metrics.jsonl"));
  const samples = [...(parts.samples ?? []), ...(await readSamples(join(folder, "samples")))];
  const path = join(folder, "report.html");
  await writeAtomic(path, renderReport({ ...parts, samples, record, metrics }));
  return path;
}

/** Pictures named `<name>-<step>.png`, the newest ones, in order of step. */
async function readSamples(folder: string): Promise<ReportPicture[]> {
  const found = (await readdir(folder).catch(() => [])).flatMap((file) => {
    const [, name, step] = /^(.+)-(\d{9})\.png$/.exec(file) ?? [];
    return name === undefined ? [] : [{ file, name, step: Number(step) }];
  });
  found.sort((a, b) => a.step - b.step || (a.name < b.name ? -1 : 1));
  return Promise.all(
    found.slice(-sampleLimit).map(async ({ file, name, step }) => ({
      png: await readFile(join(folder, file)),
      caption: `${name}, step ${step.toLocaleString("en-US")}`,
    })),
  );
}
