import { showNumber } from "../progress.ts";

/** 0.9931 as "99.31 %", with a space that does not break. */
export const percent = (share: number, digits = 2): string => `${(share * 100).toFixed(digits)}\u00a0%`;

/** 11689512 as "11,689,512". */
export const count = (value: number): string => value.toLocaleString("en-US");

/** 4089184256 as "4.09 G". */
export function magnitude(value: number): string {
  const units = ["", " k", " M", " G", " T", " P"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))}${units[unit]}`;
}

/** "test/accuracy" as its set ("test", or "train" where none is named) and its bare name. */
export function splitName(name: string): { set: string; base: string } {
  const [, set, base] = /^(train|test|val|valid|validation|eval)\/(.+)$/.exec(name) ?? [];
  return set === undefined ? { set: "train", base: name } : { set, base };
}

const titles: Record<string, string> = { lr: "Learning rate", top1: "Top-1 accuracy", top5: "Top-5 accuracy" };

/** "gradNorm", "grad_norm" as "Grad norm". */
export function metricTitle(base: string): string {
  const words = base
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replaceAll(/[_-]/g, " ")
    .toLowerCase();
  return titles[base] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

const isShare = (base: string): boolean => /accuracy|^top\d+$|precision|recall|(^|_)f1$/i.test(base);

/** A value as its name asks for: accuracies in per cent, others with four digits. */
export function metricValue(name: string, value: number): string {
  const share = isShare(splitName(name).base) && value >= 0 && value <= 1;
  return share ? percent(value) : showNumber(value);
}
