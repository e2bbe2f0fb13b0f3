import type { Module } from "./module.ts";

/** Stands between a module's forward and its caller: gets what was given and `run`, the forward itself, and returns
 *  what the caller shall get. */
export type Around = (module: Module, run: () => unknown, given: readonly unknown[]) => unknown;

/** Runs `fn` while every call of a forward of one of `modules` goes through `around`; modules of one another may be
 *  among them. Their forwards are as before when `fn` has returned or thrown. */
export function intercept<T>(modules: Iterable<Module>, around: Around, fn: () => T): T {
  const restore: (() => void)[] = [];
  try {
    for (const module of new Set(modules)) {
      const own = Object.getOwnPropertyDescriptor(module, "forward");
      const forward = module.forward as (...given: unknown[]) => unknown;
      const value = (...given: unknown[]) => around(module, () => forward.apply(module, given), given);
      Object.defineProperty(module, "forward", { configurable: true, writable: true, value });
      restore.push(() => {
        if (own) Object.defineProperty(module, "forward", own);
        else Reflect.deleteProperty(module, "forward");
      });
    }
    return fn();
  } finally {
    for (const undo of restore.reverse()) undo();
  }
}
