/** Most free bytes that are kept for reuse. */
const mostIdle = 1 << 29;

/** Buffers that come and go: freed ones are given out again, since the queue keeps the order of what is done to them. */
export class BufferPool {
  private readonly create: (bytes: number) => GPUBuffer;
  private readonly idle = new Map<number, GPUBuffer[]>();
  private readonly broken = new WeakSet<GPUBuffer>();
  private idleBytes = 0;
  private used = 0;

  constructor(create: (bytes: number) => GPUBuffer) {
    this.create = create;
  }

  /** Bytes of the buffers in use. */
  get usedBytes(): number {
    return this.used;
  }
  /** Bytes on the device, in use or not. */
  get totalBytes(): number {
    return this.used + this.idleBytes;
  }

  /** A buffer of at least `bytes`, with any contents. */
  take(bytes: number): GPUBuffer {
    const size = sizeClass(bytes);
    const free = this.idle.get(size)?.pop();
    if (free) this.idleBytes -= size;
    const buffer = free ?? this.create(size);
    this.used += size;
    return buffer;
  }

  give(buffer: GPUBuffer): void {
    this.used -= buffer.size;
    if (this.broken.has(buffer)) return;
    if (this.idleBytes + buffer.size > mostIdle) {
      buffer.destroy();
      return;
    }
    this.idleBytes += buffer.size;
    const list = this.idle.get(buffer.size);
    if (list) list.push(buffer);
    else this.idle.set(buffer.size, [buffer]);
  }

  /** Leaves out a buffer that there was no memory for, and frees what is not in use, so that the next one may fit. */
  forget(buffer: GPUBuffer): void {
    this.broken.add(buffer);
    for (const list of this.idle.values()) for (const buffer of list) buffer.destroy();
    this.idle.clear();
    this.idleBytes = 0;
  }
}

/** Four sizes between two powers of two: similar needs share buffers, and at most a fifth is lost. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.floor(Math.log2(bytes - 1)) / 4;
  return Math.ceil(bytes / step) * step;
}

export const showMiB = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 22 ? 2 : 0)} MiB`;
