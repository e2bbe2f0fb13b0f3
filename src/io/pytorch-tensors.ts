import type { HostArray } from "../core/dtype.ts";
import { FormatError, showShape } from "../core/errors.ts";
import { sameShape, sizeOf, stridesOf } from "../core/shape.ts";
import { bitSizes, decode, type FileDType } from "./file-dtype.ts";
import { type Meanings, PickleGlobal } from "./pickle.ts";
import type { Source } from "./source.ts";
import type { Span } from "./zip.ts";

/** The storage classes of PyTorch. */
const storageDTypes: Readonly<Record<string, FileDType>> = {
  "torch.FloatStorage": "F32",
  "torch.DoubleStorage": "F64",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

/** Elements of one dtype in an entry of the archive. */
interface Storage {
  readonly dtype: FileDType;
  readonly key: string;
  readonly length: number;
}

/** A view of a storage; offset and strides count elements. */
export interface StoredTensor {
  readonly dtype: FileDType;
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const storageKind = Symbol("storage");
const tensorKind = Symbol("tensor");
type Kinded<K, T> = T & { readonly kind: K };

const isKind = <T>(kind: symbol, value: unknown): value is T =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === kind;

export const isStoredTensor = (value: unknown): value is StoredTensor => isKind<StoredTensor>(tensorKind, value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

export interface TensorMeanings extends Meanings {
  /** Bytes of an element of a storage that was met. */
  bytesPerElement(key: unknown): number | undefined;
}

/** What the names in a file of torch.save mean: tensors, parameters and ordered dicts. */
export function tensorMeanings(label: string): TensorMeanings {
  const met = new Map<unknown, number>();
  const fail = (what: string) => new FormatError(`${label}: the pickle describes ${what} that is damaged`);
  const tensor = ([storage, offset, shape, strides]: readonly unknown[]): Kinded<symbol, StoredTensor> => {
    if (!isKind<Storage>(storageKind, storage) || !isCount(offset) || !areCounts(shape) || !areCounts(strides))
      throw fail("a tensor");
    const view = { dtype: storage.dtype, storage, offset, shape, strides };
    checkView(label, view);
    return { kind: tensorKind, ...view };
  };
  return {
    calls: {
      "collections.OrderedDict": ([pairs = []]) => {
        if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && pair.length === 2))
          throw fail("an ordered dict");
        return new Map(pairs as [unknown, unknown][]);
      },
      "torch.Size": ([sizes]) => {
        if (!areCounts(sizes)) throw fail("a size");
        return sizes;
      },
      "torch._utils._rebuild_tensor_v2": tensor,
      "torch._utils._rebuild_parameter": ([data]) => {
        if (!isStoredTensor(data)) throw fail("a parameter");
        return data;
      },
    },
    isValue: (name) => Object.hasOwn(storageDTypes, name),
    persistent(id) {
      // The last one, of the format before 1.6, tells of what larger storage this one is a part.
      const [kind, type, key, , length, whole = null] = Array.isArray(id) ? id : [];
      const isStorage = kind === "storage" && type instanceof PickleGlobal && typeof key === "string";
      if (!isStorage || !Object.hasOwn(storageDTypes, type.name) || !isCount(length) || whole !== null)
        throw fail("a storage");
      const dtype = storageDTypes[type.name];
      met.set(key, bitSizes[dtype] / 8);
      return { kind: storageKind, dtype, key, length };
    },
    bytesPerElement: (key) => met.get(key),
  };
}

/** Elements that a tensor may have beyond those of its storage, by strides of 0 (`expand`). More could be a few bytes
 *  that claim all memory. */
const expansionLimit = 2 ** 20;

function checkView(label: string, { storage, offset, shape, strides }: StoredTensor): void {
  const fail = (why: string) =>
    new FormatError(
      `${label}: a tensor ${showShape(shape)} with strides ${showShape(strides)} from element ${offset} ${why} ` +
        `(storage "${storage.key}", ${storage.length} elements)`,
    );
  if (shape.length !== strides.length) throw fail("has not one stride per axis");
  const size = sizeOf(shape);
  if (size === 0) return;
  const last = shape.reduce((at, d, i) => at + (d - 1) * strides[i], offset);
  if (!Number.isSafeInteger(size) || !(last < storage.length)) throw fail("reaches outside of its storage");
  if (size > storage.length + expansionLimit)
    throw fail("is expanded to more elements than its storage has; call .contiguous() before saving");
}

/** The entries of the storages that `tensors` use, by key. Throws where one is missing, or too short for what the
 *  pickle says, or is described in two ways. */
export function storages(
  label: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  entryOf: (key: string) => Span | undefined,
): Map<string, Span> {
  const places = new Map<string, Span>();
  for (const [name, { storage }] of tensors) {
    const { key, dtype, length } = storage;
    const entry = entryOf(key);
    if (!entry) throw new FormatError(`${label}: storage "${key}" of tensor "${name}" is not in the archive`);
    if (length * (bitSizes[dtype] / 8) > entry.length)
      throw new FormatError(
        `${label}: storage "${key}" of ${length} ${dtype} elements takes more than the ${entry.length} bytes it has`,
      );
    places.set(key, entry);
  }
  return places;
}

/** Reads the elements of one tensor: of its storage, no more than those between its first and its last. */
export async function readStored(
  label: string,
  { storage, offset, shape, strides }: StoredTensor,
  place: Span,
  source: Source,
  widen: boolean,
): Promise<HostArray> {
  const bytes = bitSizes[storage.dtype] / 8;
  const size = sizeOf(shape);
  const extent = size === 0 ? 0 : shape.reduce((n, d, i) => n + (d - 1) * strides[i], 1);
  const span = await source.read(place.begin + offset * bytes, extent * bytes);
  const dense =
    size === extent && sameShape(strides.filter(whereLong(shape)), stridesOf(shape).filter(whereLong(shape)));
  return decode(label, { dtype: storage.dtype, shape }, dense ? span : gathered(span, bytes, shape, strides), widen);
}

/** Strides of axes of size 1 mean nothing. */
const whereLong = (shape: readonly number[]) => (_: number, axis: number) => shape[axis] > 1;

const words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const;

/** Elements of `bytes` bytes in row-major order of a strided view. */
function gathered(span: ArrayBuffer, bytes: number, shape: readonly number[], strides: readonly number[]): ArrayBuffer {
  const Words = words[bytes as keyof typeof words];
  const from = new Words(span);
  const to = new Words(sizeOf(shape));
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < to.length; i++) {
    to[i] = from[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return to.buffer;
}
