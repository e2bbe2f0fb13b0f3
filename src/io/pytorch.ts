/** Files of torch.save: a zip archive with a pickle and the bytes of each storage, or, before PyTorch 1.6, pickles
 *  followed by the storages. Nothing in them is executed.
 *  https://pytorch.org/docs/stable/notes/serialization.html */
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError, unknownName } from "../core/errors.ts";
import { type Meanings, type PickleValue, readPickle, TruncatedPickle } from "./pickle.ts";
import { isStoredTensor, readStored, type StoredTensor, storages, tensorMeanings } from "./pytorch-tensors.ts";
import { bufferSource, type Source, withSource } from "./source.ts";
import { fileSource } from "./source-file.ts";
import { findStateDict, type StateDictOptions } from "./state-dict.ts";
import { type ReadOptions, readAll, type TensorFile } from "./tensor-file.ts";
import { readZip, type Span } from "./zip.ts";

/** Opens a `.pt` or `.pth` file: reads its description and checks it; tensors are read when asked for, and a storage
 *  that several of them share is not kept. Throws `FormatError` when it is truncated, corrupt or hostile. */
export async function openPytorch(path: string, options?: StateDictOptions): Promise<TensorFile> {
  return withSource(await fileSource(path), (source) => openSaved(source, options));
}

/** All tensors of a `.pt` or `.pth` file by name. */
export async function readPytorch(
  path: string,
  options?: ReadOptions & StateDictOptions,
): Promise<Map<string, HostArray>> {
  return readAll(await openPytorch(path, options), options);
}

/** All tensors of a `.pt` or `.pth` file that is already in memory; `label` stands for the path in errors. */
export async function parsePytorch(
  buffer: ArrayBuffer,
  options?: ReadOptions & StateDictOptions & { readonly label?: string },
): Promise<Map<string, HostArray>> {
  return readAll(await openSaved(bufferSource(buffer, options?.label ?? "PyTorch buffer"), options), options);
}

/** What a file of either format holds. */
export interface Saved {
  readonly value: PickleValue;
  /** Where the bytes of a storage are. */
  storage(key: string): Span | undefined;
}

async function openSaved(source: Source, options: StateDictOptions = {}): Promise<TensorFile> {
  const { label } = source;
  const start = new Uint8Array(await source.read(0, Math.min(source.size, 2)));
  const isArchive = start[0] === 0x50 && start[1] === 0x4b;
  if (!isArchive && start[0] !== 0x80)
    throw new FormatError(`${label}: this is no file of torch.save (it begins as neither a zip archive nor a pickle)`);
  const saved = await (isArchive ? readArchive(source) : readLegacy(source));
  const tensors = findStateDict(label, saved.value, isStoredTensor, options);
  const places = storages(label, tensors, saved.storage);
  const info = (name: string): StoredTensor => {
    const found = tensors.get(name);
    if (!found) throw unknownName("tensor", name, tensors.keys());
    return found;
  };
  return {
    names: [...tensors.keys()],
    info,
    async read(name, { widen = false } = {}) {
      const tensor = info(name);
      return readStored(`${label}: tensor "${name}"`, tensor, places.get(tensor.storage.key) as Span, source, widen);
    },
    close: () => source.close(),
  };
}

/** A longer description is refused before it is read; that of a model of 10,000 tensors takes 2 MB. */
const pickleLimit = 256e6;

async function readArchive(source: Source): Promise<Saved> {
  const { label } = source;
  const entries = await readZip(source);
  const pickleName = [...entries.keys()].find((name) => /(^|\/)data\.pkl$/.test(name));
  if (pickleName === undefined)
    throw new FormatError(`${label}: the archive has no data.pkl; it is not a file of torch.save`);
  const root = pickleName.slice(0, -"data.pkl".length);
  if (entries.has(`${root}constants.pkl`))
    throw new ManabiError(
      `${label}: this is a TorchScript archive, which holds code. ` +
        `Save its state dict: torch.save(torch.jit.load("${label}").state_dict(), "weights.pth")`,
    );
  for (const [name, { compressed }] of entries)
    if (compressed)
      throw new FormatError(`${label}: entry "${name}" is compressed; torch.save stores entries as they are`);
  await checkByteOrder(source, entries.get(`${root}byteorder`));
  const { begin, length } = entries.get(pickleName) as Span;
  if (length > pickleLimit)
    throw new FormatError(`${label}: data.pkl claims ${length} bytes; at most ${pickleLimit} are allowed`);
  const { value } = readPickle(label, await source.read(begin, length), tensorMeanings(label));
  return { value, storage: (key) => entries.get(`${root}data/${key}`) };
}

async function checkByteOrder({ label, read }: Source, entry: Span | undefined): Promise<void> {
  if (!entry) return; // older versions wrote none, on little-endian machines
  const order = new TextDecoder().decode(await read(entry.begin, Math.min(entry.length, 16)));
  if (order !== "little") throw new FormatError(`${label}: the byte order is "${order}"; only "little" can be read`);
}

/** What files before PyTorch 1.6 begin with. */
const [legacyMagic, legacyVersion] = [0x1950a86a20f9469cfc6cn, 1001];

/** The format before PyTorch 1.6: five pickles (magic number, version, system, value, storage keys), then for each
 *  storage its number of elements in 8 bytes and the elements. */
async function readLegacy(source: Source): Promise<Saved> {
  const { label, size } = source;
  const meanings = tensorMeanings(label);
  const { values, end } = await readPickles(source, meanings, 5);
  const [magic, version, system, value, keys] = values;
  if (magic !== legacyMagic || version !== legacyVersion)
    throw new FormatError(`${label}: this is a pickle, but not one of torch.save`);
  if (!(system instanceof Map) || system.get("little_endian") !== true)
    throw new FormatError(`${label}: the byte order is not little-endian; only that can be read`);
  if (!Array.isArray(keys)) throw new FormatError(`${label}: the list of storages is damaged`);
  const places = new Map<string, Span>();
  let at = end;
  for (const key of keys) {
    const bytes = meanings.bytesPerElement(key);
    if (bytes === undefined || places.has(key) || at + 8 > size)
      throw new FormatError(`${label}: the list of storages is damaged, or the file is truncated`);
    const count = Number(new DataView(await source.read(at, 8)).getBigInt64(0, true));
    const place = { begin: at + 8, length: count * bytes };
    at = place.begin + place.length;
    if (count < 0 || at > size)
      throw new FormatError(`${label}: storage "${key}" of ${count} elements ends beyond the file; it is truncated`);
    places.set(key, place);
  }
  return { value, storage: (key) => places.get(key) };
}

/** The first `count` pickles of a file, of which no more is read than they take, more or less. */
async function readPickles(source: Source, meanings: Meanings, count: number) {
  for (let length = 2 ** 20; ; length *= 8) {
    const bytes = await source.read(0, Math.min(length, source.size));
    const values: PickleValue[] = [];
    let end = 0;
    try {
      for (let i = 0; i < count; i++) {
        const read = readPickle(source.label, bytes, meanings, end);
        values.push(read.value);
        end = read.end;
      }
      return { values, end };
    } catch (error) {
      if (!(error instanceof TruncatedPickle) || length >= Math.min(source.size, pickleLimit)) throw error;
    }
  }
}
