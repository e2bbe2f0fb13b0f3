import { existsSync } from "node:fs";
import { join } from "node:path";
import { ManabiError } from "../core/errors.ts";
import { loadCheckpoint, readNotes } from "../io/checkpoint.ts";
import { latestCheckpoint } from "../io/checkpoint-folder.ts";
import { isFile } from "../io/source-file.ts";
import { createModel } from "../models/index.ts";
import type { Layer } from "../nn/container.ts";
import { type ClassifierCard, readCard } from "../train/classifier.ts";
import type { Output } from "../train/output.ts";
import { readRunRecord } from "../train/run-record.ts";
import { statefulOf } from "../train/state.ts";
import { isCheckpoint } from "../train/transfer.ts";
import { findRun } from "./commands/runs.ts";
import { type Classifier, loadPublished } from "./published.ts";

/** A trained classifier and where it came from. */
export interface Trained {
  readonly checkpoint: string;
  readonly card: ClassifierCard;
  readonly model: Layer;
}

/** The classifier of a run (its best checkpoint, or its newest where none was scored or `last` is asked for) or of a
 *  checkpoint file. */
export async function loadTrained(name: string, which: "best" | "last"): Promise<Trained> {
  const checkpoint = (await isFile(name)) ? name : await checkpointOf(await findRun(name, "runs"), which);
  const card = readCard(checkpoint, await readNotes(checkpoint));
  const model = await createModel(card.model.name, card.model.options);
  await loadCheckpoint(checkpoint, { model: statefulOf(model) }, { partial: true });
  return { checkpoint, card, model };
}

/** What `loadTrained` finds, without where it came from, or the classifier of a file of weights alone. */
export async function loadTrainedClassifier(name: string, which: "best" | "last", output: Output): Promise<Classifier> {
  if ((await isFile(name)) && !(await isCheckpoint(name))) return loadPublished(name, output);
  const { model, card } = await loadTrained(name, which);
  return { model, input: card.input, classes: card.classes };
}

async function checkpointOf(run: string, which: "best" | "last"): Promise<string> {
  const folder = join(run, "checkpoints");
  const best = join(folder, "best.safetensors");
  if (which === "best" && existsSync(best)) return best;
  const newest = await latestCheckpoint(folder);
  if (newest !== null) return newest;
  const { recipe } = await readRunRecord(run);
  throw new ManabiError(
    `${run} has no checkpoint yet; one is saved at the end of each epoch: manabi train ${recipe} --resume ${run}`,
  );
}
