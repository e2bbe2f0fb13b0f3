import { availableParallelism } from "node:os";
import { setImmediate as macrotask } from "node:timers/promises";
import type { Host } from "./host.ts";

export const host: Host = {
  warn: (text) => void process.stderr.write(`manabi: ${text}\n`),
  turn: macrotask,
  processors: availableParallelism(),
};
