/** A checkpoint is a safetensors file: arrays as tensors (`model/conv1.weight`), the rest as JSON in its metadata,
 *  with a SHA-256 over both. */
import { createHash } from "node:crypto";
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError } from "../core/errors.ts";
import { fileOrder } from "./safetensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors-file.ts";
import { compareState, flattenState, type Stateful, type StateTree, unflattenState } from "./state.ts";

/** The named parts of a run: model, optimizer, schedule, random state, data cursor, ... */
export type Parts = Readonly<Record<string, Stateful>>;

export interface SaveOptions {
  /** Short facts to store beside the state, such as the step and the score. */
  readonly notes?: Readonly<Record<string, string>>;
  /** Called with every array before anything is written; throws to refuse the checkpoint. */
  readonly check?: (name: string, tensor: HostArray) => void;
}

export interface LoadOptions {
  /** Take only the given parts and leave the other ones of the file alone, as evaluation does. Default false. */
  readonly partial?: boolean;
}

/** The state of every part of a checkpoint file, and its notes. */
export interface Checkpoint {
  readonly parts: Readonly<Record<string, StateTree>>;
  readonly notes: Readonly<Record<string, string>>;
}

const version = "1";
/** Metadata keys of the format itself; the others are notes. */
const reserved = ["manabi.checkpoint", "sha256", "state"];

/** Saves the state of all parts to one file, atomically; equal states give equal bytes. Throws `WriteError`. */
export async function saveCheckpoint(path: string, parts: Parts, options: SaveOptions = {}): Promise<void> {
  const { notes = {}, check } = options;
  for (const key of reserved) if (key in notes) throw new ManabiError(`checkpoint note "${key}" is a reserved name`);
  const tree: Record<string, StateTree> = {};
  for (const [name, part] of Object.entries(parts)) tree[name] = await part.state();
  const { tensors, json } = flattenState(tree);
  if (check) for (const [name, tensor] of tensors) check(name, tensor);
  const metadata = { ...notes, "manabi.checkpoint": version, state: json };
  await writeSafetensors(path, tensors, { ...metadata, sha256: digest(metadata, fileOrder(tensors)) });
}

/** Reads and verifies a checkpoint; throws `FormatError` when it is truncated, corrupt or something else. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const file = await openSafetensors(path);
  try {
    const { sha256, ...metadata } = file.metadata;
    const { "manabi.checkpoint": found, state, ...notes } = metadata;
    if (found === undefined || state === undefined)
      throw new FormatError(`${path}: this safetensors file is not a checkpoint`);
    if (found !== version) throw new FormatError(`${path}: checkpoint version ${found}; this manabi reads ${version}`);
    const tensors = new Map<string, HostArray>();
    for (const name of file.names) tensors.set(name, await file.read(name));
    if (digest(metadata, tensors) !== sha256)
      throw new FormatError(`${path}: the checkpoint is corrupt (its content does not match its SHA-256)`);
    return { parts: unflattenState(state, tensors) as Checkpoint["parts"], notes };
  } finally {
    await file.close();
  }
}

/** Reads only the notes of a checkpoint, without verifying its content. */
export async function readNotes(path: string): Promise<Checkpoint["notes"]> {
  const file = await openSafetensors(path);
  await file.close();
  return Object.fromEntries(Object.entries(file.metadata).filter(([key]) => !reserved.includes(key)));
}

/** Brings all parts back to the saved state. Missing and extra parts and keys of all parts are reported in one error,
 *  before anything has changed. Throws `FormatError` for a bad file. */
export async function loadCheckpoint(path: string, parts: Parts, options: LoadOptions = {}): Promise<void> {
  const saved = (await readCheckpoint(path)).parts;
  const problems: string[] = [];
  for (const [name, part] of Object.entries(parts))
    if (!(name in saved)) problems.push(`missing part "${name}" (the checkpoint has ${Object.keys(saved).join(", ")})`);
    else if (part.layout)
      problems.push(...compareState(saved[name], part.layout()).map((line) => `part "${name}": ${line}`));
  if (!options.partial)
    for (const name of Object.keys(saved)) if (!(name in parts)) problems.push(`extra part "${name}"`);
  if (problems.length) throw new ManabiError(`${path} does not fit:\n  ${problems.join("\n  ")}`);
  for (const [name, part] of Object.entries(parts)) {
    try {
      await part.restore(saved[name]);
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      throw new ManabiError(`${path}: part "${name}" does not take its state: ${why}`, { cause: error });
    }
  }
}

/** SHA-256 over metadata, names, dtypes, shapes and bytes, in the order of the file. */
function digest(metadata: Readonly<Record<string, string>>, tensors: Iterable<[string, HostArray]>): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))));
  for (const [name, { dtype, shape, data }] of tensors) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
