import type { MachinePeaks, Rate } from "../machine.ts";
import { showFlops, showRate } from "./units.ts";

export interface MachineRow {
  readonly what: string;
  readonly one: string;
  readonly all: string;
}

/** The peaks as rows of a table. */
export function machineRows(peaks: MachinePeaks): MachineRow[] {
  const { chain, scalar, f32, f64, bf16, memory, caches } = peaks;
  const flops = (what: string, { one, all }: Rate) => ({ what, one: showFlops(one), all: showFlops(all) });
  const bytes = (what: string, { one, all }: Rate) => ({ what, one: showRate(one), all: showRate(all) });
  return [
    { what: "scalar f32, one chain of multiply-adds", one: showFlops(chain), all: "" },
    { what: "scalar f32 (SISD)", one: showFlops(scalar), all: "" },
    flops("vector f32 (SIMD, all cores: MIMD)", f32),
    flops("vector f64", f64),
    ...(bf16.length
      ? bf16.map(({ name, ...rate }) => flops(`bf16 dot products, ${name}`, rate))
      : [{ what: "bf16 dot products", one: "none", all: "none" }]),
    ...Object.entries(memory).map(([kind, rate]) => bytes(`memory, ${kind}`, rate)),
    ...caches.map(({ level, bytes: size, shared, read }) =>
      bytes(`L${level} cache of ${showSize(size)}${shared > 1 ? `, shared by ${shared}` : ""}, read`, read),
    ),
  ];
}

const showSize = (bytes: number): string =>
  bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / (1 << 10)} KiB`;
