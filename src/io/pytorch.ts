/** Files of torch.save (PyTorch 1.6 and later): a zip archive with a pickle and the bytes of each storage. Nothing in
 *  them is executed. https://pytorch.org/docs/stable/notes/serialization.html */
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError, unknownName } from "../core/errors.ts";
import { readPickle } from "./pickle.ts";
import { isStoredTensor, readStored, type StoredTensor, storages, tensorMeanings } from "./pytorch-tensors.ts";
import { bufferSource, fileSource, type Source, withSource } from "./source.ts";
import { findStateDict, type StateDictOptions } from "./state-dict.ts";
import { type ReadOptions, readAll, type TensorFile } from "./tensor-file.ts";
import { readZip, type ZipEntry } from "./zip.ts";

/** Opens a `.pt` or `.pth` file: reads its description and checks it; tensors are read when asked for, and a storage
 *  that several of them share is not kept. Throws `FormatError` when it is truncated, corrupt or hostile. */
export async function openPytorch(path: string, options?: StateDictOptions): Promise<TensorFile> {
  return withSource(await fileSource(path), (source) => openArchive(source, options));
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
  return readAll(await openArchive(bufferSource(buffer, options?.label ?? "PyTorch buffer"), options), options);
}

/** A longer description is refused before it is read; that of a model of 10,000 tensors takes 2 MB. */
const pickleLimit = 256e6;

async function openArchive(source: Source, options: StateDictOptions = {}): Promise<TensorFile> {
  const { label } = source;
  await checkKind(source);
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
  const pickle = entries.get(pickleName) as ZipEntry;
  if (pickle.length > pickleLimit)
    throw new FormatError(`${label}: data.pkl claims ${pickle.length} bytes; at most ${pickleLimit} are allowed`);
  const value = readPickle(label, await source.read(pickle.begin, pickle.length), tensorMeanings(label));
  const tensors = findStateDict(label, value, isStoredTensor, options);
  const places = storages(label, tensors, (key) => entries.get(`${root}data/${key}`));
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
      const place = places.get(tensor.storage.key) as ZipEntry;
      return readStored(`${label}: tensor "${name}"`, tensor, place, source, widen);
    },
    close: () => source.close(),
  };
}

/** Refuses what is no zip archive, with the cure where it is something that PyTorch wrote. */
async function checkKind({ label, size, read }: Source): Promise<void> {
  const start = new Uint8Array(await read(0, Math.min(size, 2)));
  if (start[0] === 0x50 && start[1] === 0x4b) return;
  if (start[0] === 0x80)
    throw new ManabiError(
      `${label}: this is a bare pickle, as PyTorch wrote before version 1.6. ` +
        `Save it anew: torch.save(torch.load("${label}", weights_only=True), "new.pth")`,
    );
  throw new FormatError(`${label}: this is no file of torch.save (it does not begin as a zip archive)`);
}

async function checkByteOrder({ label, read }: Source, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return; // older versions wrote none, on little-endian machines
  const order = new TextDecoder().decode(await read(entry.begin, Math.min(entry.length, 16)));
  if (order !== "little") throw new FormatError(`${label}: the byte order is "${order}"; only "little" can be read`);
}
