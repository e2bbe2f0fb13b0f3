import type { arrayType, TypedArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import type { MemoryImport } from "./assembler.ts";
import { aligned, Heap } from "./heap.ts";

const pageBytes = 65536;
const mostPages = 65536;
/** The first bytes belong to the threads (threads.ts). */
const controlBytes = 4096;
/** Arrays that are handed out in place: smaller ones are copied, and so are all where more than this is handed out. */
const leastInPlace = 64 << 10;
const mostInPlace = 512 << 20;

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Whether memory can be shared among threads here. */
export function canShare(): boolean {
  if (typeof SharedArrayBuffer === "undefined") return false;
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return crossOriginIsolated !== false;
}

/** The one memory that programs run in. */
export class Memory {
  readonly memory: WebAssembly.Memory;
  readonly isShared: boolean;
  /** What modules import. */
  readonly limits: MemoryImport;
  private readonly heap = new Heap(controlBytes);
  private readonly mostBytes: number;
  /**
   * The whole memory; made anew when it has grown. All arrays are made of its buffer: `memory.buffer` may become another
   * object whenever some other memory of the process grows.
   */
  words: Int32Array<ArrayBuffer>;
  private readonly buffers = new WeakSet<object>();
  private readonly unreachable: FinalizationRegistry<Freeable>;
  /** Arrays that `copy` has made. */
  private readonly copies = new WeakSet<TypedArray>();
  private inPlace = 0;

  /** `limitBytes` is for tests; it is the 4 GiB of 32-bit addresses, or what the engine grants of them. */
  constructor(shared: boolean, limitBytes = mostPages * pageBytes) {
    this.isShared = shared;
    const { memory, maximum } = reserve(shared, Math.ceil(limitBytes / pageBytes));
    this.memory = memory;
    this.mostBytes = maximum * pageBytes;
    this.limits = { initial: 1, maximum, shared };
    this.words = new Int32Array(0);
    this.refresh();
    this.unreachable = new FinalizationRegistry(({ address, bytes, isShortLived }) => {
      this.free(address, bytes);
      if (isShortLived) this.inPlace -= bytes;
    });
  }

  private refresh(): void {
    const { buffer } = this.memory;
    this.words = new Int32Array(buffer as ArrayBuffer);
    this.buffers.add(buffer);
    this.heap.extend(buffer.byteLength);
  }

  /** Bytes that there can be at most. */
  get limit(): number {
    return this.mostBytes;
  }

  /** Bytes in use. */
  get used(): number {
    return this.heap.used;
  }

  /** The address of `bytes` bytes; throws where there is no room for them, naming what they are `for`. */
  alloc(bytes: number, what: string): number {
    const address = this.tryAlloc(bytes);
    if (address === null)
      throw new ManabiError(
        `wasm: no memory for ${mebibytes(bytes)} of ${what}: ${mebibytes(this.used)} of at most ` +
          `${mebibytes(this.mostBytes)} are in use; use a smaller batch, checkpoint(), or the native or webgpu backend`,
      );
    return address;
  }

  /** The same, or null where there is no room. */
  tryAlloc(bytes: number): number | null {
    const address = this.heap.take(bytes);
    if (address !== null) return address;
    return this.grow(this.heap.missing(bytes)) ? this.heap.take(bytes) : null;
  }

  /** Grows by more than is needed where that is granted, so that it happens rarely. */
  private grow(bytes: number): boolean {
    const present = this.words.byteLength / pageBytes;
    const needed = Math.ceil(bytes / pageBytes);
    const room = this.mostBytes / pageBytes - present;
    for (const pages of [Math.min(room, Math.max(needed, Math.ceil(present / 4))), needed]) {
      if (pages < needed || pages > room) continue;
      try {
        this.memory.grow(pages);
      } catch {
        continue;
      }
      this.refresh();
      return true;
    }
    return false;
  }

  free(address: number, bytes: number): void {
    this.heap.give(address, bytes);
  }

  /** The address of an array that lies in this memory, else null. */
  addressOf(array: TypedArray): number | null {
    return this.isShared && this.buffers.has(array.buffer) ? array.byteOffset : null;
  }

  /**
   * An array in this memory; null where one outside is better. Of those that may soon be garbage, such as results, only
   * so much is handed out before finalizers have freed some.
   */
  array(type: ReturnType<typeof arrayType>, size: number, isShortLived: boolean): TypedArray | null {
    const bytes = size * type.BYTES_PER_ELEMENT;
    // Growth would take the memory from under arrays that are not shared.
    if (!this.isShared || size === 0) return null;
    if (isShortLived && (bytes < leastInPlace || this.inPlace + bytes > mostInPlace)) return null;
    const address = this.tryAlloc(bytes);
    if (address === null) return null;
    const array = new type(this.words.buffer, address, size);
    if (isShortLived) this.inPlace += aligned(bytes);
    this.unreachable.register(array, { address, bytes: aligned(bytes), isShortLived });
    return array;
  }

  /** Frees a block when `owner` is gone. */
  freeWith(owner: object, address: number, bytes: number): void {
    this.unreachable.register(owner, { address, bytes: aligned(bytes), isShortLived: false });
  }

  /** A copy of an array, in this memory if that is possible. What copies a copy replaces it, most likely. */
  copy(values: TypedArray): TypedArray {
    const type = values.constructor as ReturnType<typeof arrayType>;
    const array = this.array(type, values.length, this.copies.has(values)) ?? new type(values.length);
    array.set(values);
    this.copies.add(array);
    return array;
  }

  /** Copies an array to an address. */
  write(address: number, array: TypedArray): void {
    new Uint8Array(this.words.buffer).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), address);
  }
}

interface Freeable {
  readonly address: number;
  readonly bytes: number;
  readonly isShortLived: boolean;
}

/** A memory with room for as many pages as the engine grants. */
function reserve(shared: boolean, pages: number): { memory: WebAssembly.Memory; maximum: number } {
  for (let maximum = pages; ; maximum = Math.floor(maximum / 2))
    try {
      return { memory: new WebAssembly.Memory({ initial: Math.min(16, maximum), maximum, shared }), maximum };
    } catch (error) {
      if (maximum <= 256) throw new ManabiError(`wasm: no memory can be made here: ${(error as Error).message}`);
    }
}
