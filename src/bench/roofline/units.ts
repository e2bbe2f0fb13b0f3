import { magnitude } from "../../train/report/format.ts";

/** 1.5e11 as "150 GFLOP/s". */
export const showFlops = (flopsPerSecond: number): string =>
  `${magnitude(flopsPerSecond)}FLOP/s`.replace(/(\d)FLOP/, "$1 FLOP");

/** 2.5e10 as "25 GB/s". */
export const showRate = (bytesPerSecond: number): string => `${magnitude(bytesPerSecond)}B/s`.replace(/(\d)B/, "$1 B");

/** Seconds as "1.23 s", "4.56 ms", "789 us". */
export function showSeconds(seconds: number): string {
  if (seconds >= 1) return `${Number(seconds.toPrecision(3))} s`;
  return seconds >= 1e-3
    ? `${Number((seconds * 1e3).toPrecision(3))} ms`
    : `${Number((seconds * 1e6).toPrecision(3))} us`;
}

/** A part as "12.3 %"; "-" where it is not known. */
export const showShare = (share: number | null): string => (share === null ? "-" : `${(share * 100).toFixed(1)} %`);
