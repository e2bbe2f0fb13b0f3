import { ModuleBuilder } from "./assembler.ts";
import type { WorkFunction } from "./call.ts";
import { importMath, mathImports } from "./f64-functions.ts";
import type { Memory } from "./memory.ts";
import type { Work } from "./worker.ts";

/** What instances import. */
const importsOf = (memory: WebAssembly.Memory): WebAssembly.Imports => ({ env: { memory, ...mathImports } });

/** All functions that programs have asked for, by number; equal keys share one. */
export class Functions {
  readonly list: Work[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly memory: Memory;
  private readonly onModule: (bytes: Uint8Array<ArrayBuffer>) => void;

  /** `onModule` is told the bytes of every module, which exports its functions under their numbers. */
  constructor(memory: Memory, onModule: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.memory = memory;
    this.onModule = onModule;
  }

  /** Compiles the functions that are not known yet, as one module. */
  add(works: Iterable<WorkFunction>): void {
    const fresh = new Map([...works].filter(({ key }) => !this.numbers.has(key)).map((work) => [work.key, work]));
    if (fresh.size === 0) return;
    const module = new ModuleBuilder(this.memory.limits);
    importMath(module);
    let number = this.list.length;
    for (const work of fresh.values()) {
      module.function(String(number), ["i32", "i32", "i32", "i32"], null, (f, ctx, begin, end, thread) => {
        work.build(f, module, ctx, begin, end, thread);
        return undefined;
      });
      number++;
    }
    const bytes = module.encode();
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), importsOf(this.memory.memory));
    for (const key of fresh.keys()) {
      const at = this.list.length;
      this.numbers.set(key, this.list.push(exports[at] as Work) - 1);
    }
    this.onModule(bytes);
  }

  numberOf({ key }: WorkFunction): number {
    return this.numbers.get(key) as number;
  }
}
