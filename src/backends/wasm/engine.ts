import { Functions } from "./functions.ts";
import { canShare, Memory } from "./memory.ts";
import { Residents } from "./residents.ts";
import { findThreadHost, type ThreadHost, Threads } from "./threads.ts";

/** What the host is said to offer, for tests; what is left out is found out. */
export interface EngineOptions {
  readonly shared?: boolean;
  readonly threadHost?: ThreadHost | null;
  readonly limitBytes?: number;
  /** Milliseconds after which a worker that does not answer is given up. */
  readonly patience?: number;
}

/** What all programs of a backend share. */
export interface Engine {
  readonly memory: Memory;
  readonly functions: Functions;
  readonly threads: Threads;
  readonly arena: Arena;
  readonly residents: Residents;
}

export function makeEngine({ shared, threadHost, limitBytes, patience }: EngineOptions = {}): Engine {
  const memory = new Memory(shared ?? canShare(), limitBytes);
  const host = threadHost === undefined ? findThreadHost() : threadHost;
  const functions = new Functions(memory, (bytes) => threads.addModule(bytes));
  const threads = new Threads(memory, functions.list, host, patience);
  const residents = new Residents(memory);
  return { memory, functions, threads, residents, arena: new Arena(memory, residents) };
}

/** Memory of whatever program is running: programs run one after the other. */
export class Arena {
  private readonly memory: Memory;
  private readonly residents: Residents;
  private bytes = 0;
  private address = 0;
  /** Whose contexts are in it. */
  user: object | null = null;

  constructor(memory: Memory, residents: Residents) {
    this.memory = memory;
    this.residents = residents;
  }

  /** An address with at least `bytes` behind it. */
  reserve(bytes: number): number {
    if (bytes > this.bytes) {
      if (this.bytes) this.memory.free(this.address, this.bytes);
      this.bytes = 0;
      this.user = null;
      const address = this.memory.tryAlloc(bytes);
      // Copies that save time give way to what is needed.
      if (address === null) this.residents.clear();
      this.address = address ?? this.memory.alloc(bytes, "temporaries");
      this.bytes = bytes;
    }
    return this.address;
  }
}
