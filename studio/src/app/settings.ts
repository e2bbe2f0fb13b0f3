import { networks, type Settings } from "../worker/messages.ts";

export const defaults: Settings = {
  network: "convnet",
  backend: "wasm",
  epochs: 3,
  batchSize: 64,
  lr: 0.004,
  images: 0,
  seed: 1,
};

interface Range {
  readonly min: number;
  readonly max: number;
  readonly step: number | "any";
}

/** What the numbers among the settings may be. */
export const ranges = {
  epochs: { min: 1, max: 100, step: 1 },
  batchSize: { min: 2, max: 1024, step: 1 },
  lr: { min: 0.00001, max: 1, step: "any" },
  seed: { min: 0, max: 4294967295, step: 1 },
} satisfies Partial<Record<keyof Settings, Range>>;

/** Numbers of training images to choose from; 0 is all. */
export const imageCounts = [0, 20000, 5000, 1000] as const;

const within = (value: unknown, { min, max, step }: Range): value is number =>
  typeof value === "number" && value >= min && value <= max && (step === "any" || Number.isInteger(value));

/** Settings from a place that anybody can write to: what is not valid there is as by default. */
export function validSettings(stored: unknown): Settings {
  const given: Partial<Settings> = typeof stored === "object" && stored !== null ? stored : {};
  const { network, backend, images } = given;
  const number = (key: keyof typeof ranges) => (within(given[key], ranges[key]) ? given[key] : defaults[key]);
  return {
    network: network && networks.includes(network) ? network : defaults.network,
    backend: backend && ["webgpu", "wasm", "reference"].includes(backend) ? backend : defaults.backend,
    epochs: number("epochs"),
    batchSize: number("batchSize"),
    lr: number("lr"),
    images: Number.isInteger(images) && Number(images) >= 0 ? Number(images) : defaults.images,
    seed: number("seed"),
  };
}

const key = "manabi-studio-settings";

export function readSettings(): Settings {
  try {
    return validSettings(JSON.parse(localStorage.getItem(key) ?? "null"));
  } catch {
    return defaults; // damaged, or the browser keeps nothing
  }
}

export function keepSettings(settings: Settings): void {
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {
    // The browser keeps nothing; the next visit begins with the defaults.
  }
}
