import { readFileSync } from "node:fs";

/** Bytes of main memory that this process has held at most. */
export function peakMemory(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    // The resource usage of the process would also count its parent's memory at the time of the fork.
    const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(status) ?? [];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
