import type { TypedArray } from "../../core/dtype.ts";
import { timesWritten } from "../backend.ts";
import type { Memory } from "./memory.ts";

/** Smaller arrays are copied at every run: that takes no longer than to look them up. */
const leastBytes = 16 << 10;

/** A copy of an array; its address is null while there is none. */
interface Resident {
  address: number | null;
  readonly bytes: number;
  /** How often the array had been written when it was copied, or was last seen. */
  writes: number;
  run: number;
}

/**
 * Copies of arrays outside of the memory that programs read again and again, such as weights: values of tensors do not
 * change unless that is noted (backend.ts). An array gets one when it comes for the second time; the copies that have
 * not been used for longest give way to others.
 */
export class Residents {
  private readonly memory: Memory;
  private readonly known = new WeakMap<TypedArray, Resident>();
  /** Those that have a copy, the one that was used last at the end. */
  private readonly copies = new Set<Resident>();
  private readonly unreachable: FinalizationRegistry<Resident>;
  private bytes = 0;
  private run = 0;

  constructor(memory: Memory) {
    this.memory = memory;
    this.unreachable = new FinalizationRegistry((resident) => this.drop(resident));
  }

  /** To be called before the inputs of a run are looked up: copies that it uses stay until the next. */
  startRun(): void {
    this.run++;
  }

  /** The address of the copy of an array, up to date; null where it has none. A constant gets one at once. */
  find(array: TypedArray, isConstant: boolean): number | null {
    if (array.byteLength < leastBytes) return null;
    const writes = timesWritten(array);
    let resident = this.known.get(array);
    // What comes once, or changes from run to run, is not worth a copy.
    const isNew = resident?.writes !== writes;
    if (!resident) {
      resident = { address: null, bytes: array.byteLength, writes, run: this.run };
      this.known.set(array, resident);
      this.unreachable.register(array, resident);
    }
    resident.writes = writes;
    if (resident.address !== null && !isNew) return this.use(resident);
    if (resident.address === null && ((isNew && !isConstant) || !this.place(resident))) return null;
    this.memory.write(resident.address as number, array);
    return this.use(resident);
  }

  private use(resident: Resident): number | null {
    resident.run = this.run;
    this.copies.delete(resident);
    this.copies.add(resident);
    return resident.address;
  }

  private place(resident: Resident): boolean {
    const most = this.memory.limit / 4;
    for (const oldest of this.copies) {
      if (this.bytes + resident.bytes <= most || oldest.run === this.run) break;
      this.drop(oldest);
    }
    if (this.bytes + resident.bytes > most) return false;
    resident.address = this.memory.tryAlloc(resident.bytes);
    if (resident.address === null) return false;
    this.bytes += resident.bytes;
    return true;
  }

  private drop(resident: Resident): void {
    if (resident.address === null) return;
    this.memory.free(resident.address, resident.bytes);
    this.bytes -= resident.bytes;
    resident.address = null;
    this.copies.delete(resident);
  }

  /** Frees all copies that the run does not use; whether there were any. */
  clear(): boolean {
    const idle = [...this.copies].filter(({ run }) => run !== this.run);
    for (const resident of idle) this.drop(resident);
    return idle.length > 0;
  }
}
