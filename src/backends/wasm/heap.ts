/** Start of every block, in bytes; a cache line. */
export const alignment = 64;

export const aligned = (bytes: number): number => Math.max(1, Math.ceil(bytes / alignment)) * alignment;

const classOf = (bytes: number): number => Math.floor(Math.log2(bytes / alignment));

/** Hands out blocks of a range of addresses that grows at its end. Free blocks are kept by size and join their neighbours. */
export class Heap {
  /** Addresses of free blocks by the power of two of their size. */
  private readonly free: Set<number>[] = [];
  private readonly sizes = new Map<number, number>();
  /** Starts of free blocks by their ends. */
  private readonly starts = new Map<number, number>();
  private end: number;
  private bytes = 0;

  constructor(start: number) {
    this.end = start;
  }

  /** Bytes of the blocks in use. */
  get used(): number {
    return this.bytes;
  }

  /** The address of a block, or null where no free block is large enough: the range must grow. */
  take(bytes: number): number | null {
    const size = aligned(bytes);
    const address = this.find(size);
    if (address === null) return null;
    const whole = this.remove(address);
    if (whole > size) this.insert(address + size, whole - size);
    this.bytes += size;
    return address;
  }

  private find(size: number): number | null {
    const first = classOf(size);
    // Blocks of the same power of two may be too small, those of the next are not.
    for (const address of this.free[first] ?? []) if ((this.sizes.get(address) as number) >= size) return address;
    for (let k = first + 1; k < this.free.length; k++) for (const address of this.free[k] ?? []) return address;
    return null;
  }

  give(address: number, bytes: number): void {
    this.bytes -= aligned(bytes);
    this.insert(address, aligned(bytes));
  }

  /** Adds addresses up to `end`. */
  extend(end: number): void {
    if (end > this.end) this.insert(this.end, end - this.end);
    this.end = end;
  }

  /** Bytes that must be added at the end for a block of `bytes`. */
  missing(bytes: number): number {
    const last = this.starts.get(this.end);
    return aligned(bytes) - (last === undefined ? 0 : (this.sizes.get(last) as number));
  }

  private insert(address: number, bytes: number): void {
    let [from, size] = [address, bytes];
    const before = this.starts.get(from);
    if (before !== undefined) {
      size += this.remove(before);
      from = before;
    }
    if (this.sizes.has(address + bytes)) size += this.remove(address + bytes);
    const k = classOf(size);
    this.free[k] ??= new Set();
    this.free[k].add(from);
    this.sizes.set(from, size);
    this.starts.set(from + size, from);
  }

  private remove(address: number): number {
    const size = this.sizes.get(address) as number;
    this.free[classOf(size)].delete(address);
    this.sizes.delete(address);
    this.starts.delete(address + size);
    return size;
  }
}
