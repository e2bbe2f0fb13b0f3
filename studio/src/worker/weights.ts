import type { HostArray } from "manabi";
import { encodeSafetensors, openSafetensorsBytes } from "manabi/io";
import type { Layer } from "manabi/nn";
import { Failure } from "./failure.ts";
import { networks, type Weights, type WeightsNote } from "./messages.ts";

/** Where the metadata of a weights file keeps the note. */
const key = "manabi.studio";

/** The values of a network as a safetensors file. */
export async function saveWeights(model: Layer, note: WeightsNote): Promise<Weights> {
  const tensors = new Map<string, HostArray>();
  for (const [name, t] of model.stateDict())
    tensors.set(name, { shape: t.shape, dtype: t.dtype, data: await t.data() });
  const { buffer } = encodeSafetensors(tensors, { [key]: JSON.stringify(note) });
  return { bytes: buffer, note };
}

/** The note of a weights file. Throws a `Failure` that says why where it is no safetensors file or not of the studio. */
export async function readNote(bytes: ArrayBuffer, name: string): Promise<WeightsNote> {
  const { metadata } = await opened(bytes, name);
  const text = metadata[key];
  if (text === undefined)
    throw new Failure("weights", `${name}: its metadata has no entry "${key}", which tells the network`);
  try {
    const { settings, epoch, accuracy }: WeightsNote = JSON.parse(text);
    if (networks.includes(settings.network) && Number.isInteger(epoch) && (accuracy === null || accuracy <= 1))
      return { settings, epoch, accuracy };
  } catch {
    // Told below.
  }
  throw new Failure("weights", `${name}: the entry "${key}" of its metadata is damaged`);
}

/** Gives a network the values of a file. Throws a `Failure` and changes nothing where they do not fit. */
export async function loadWeights(model: Layer, bytes: ArrayBuffer, name: string): Promise<void> {
  const file = await opened(bytes, name);
  try {
    const values = new Map<string, HostArray>();
    for (const tensor of file.names) values.set(tensor, await file.read(tensor));
    model.loadStateDict(values);
  } catch (error) {
    throw new Failure("weights", `${name}: ${(error as Error).message}`, { cause: error });
  }
}

const opened = (bytes: ArrayBuffer, name: string) =>
  openSafetensorsBytes(bytes, name).catch((cause: Error) => {
    throw new Failure("weights", cause.message, { cause });
  });
