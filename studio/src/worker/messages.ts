import type { BackendName } from "manabi";

export const networks = ["mlp", "convnet", "resnet"] as const;
export type NetworkName = (typeof networks)[number];

/** What a run is made from; equal settings on one backend give equal weights. */
export interface Settings {
  readonly network: NetworkName;
  readonly backend: BackendName;
  readonly epochs: number;
  readonly batchSize: number;
  readonly lr: number;
  /** Training images in use; 0 uses all. */
  readonly images: number;
  readonly seed: number;
}

/** What is known of weights besides their values; the metadata of a weights file. */
export interface WeightsNote {
  readonly settings: Settings;
  /** Epochs behind them. */
  readonly epoch: number;
  /** Share of the test images that they get right, 0 to 1. */
  readonly accuracy: number | null;
}

/** A safetensors file in memory with what its metadata says. */
export interface Weights {
  readonly bytes: ArrayBuffer;
  readonly note: WeightsNote;
}

export interface BackendChoice {
  readonly name: BackendName;
  readonly works: boolean;
  /** What it computes with, or why it does not work. */
  readonly detail: string;
  readonly threads: number;
}

/** From the page to the worker. */
export type Request =
  | { readonly kind: "open" /** Address of the folder with the images. */; readonly data: string }
  /** Trains from the seed, or goes on from weights with a new optimizer. */
  | { readonly kind: "train"; readonly settings: Settings; readonly from: Weights | null }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  | { readonly kind: "stop" }
  /** A picture of 28 x 28 values, 0 to 255. */
  | { readonly kind: "predict"; readonly pixels: Uint8Array<ArrayBuffer> }
  | { readonly kind: "save" }
  /** A weights file: one that the user has chosen, or the latest weights after an interruption. */
  | { readonly kind: "load"; readonly bytes: ArrayBuffer; readonly name: string; readonly why: "load" | "recall" };

/** What made the worker send weights. */
export type WeightsReason = "epoch" | "save" | "load" | "recall";

export type FailureKind = "data-missing" | "data-bad" | "device-lost" | "weights" | "other";

/** What training tells on its way. */
export type Progress =
  | {
      readonly kind: "step";
      readonly step: number;
      readonly steps: number;
      /** Means over the steps since the last report. */
      readonly loss: number;
      readonly accuracy: number;
      readonly imagesPerSecond: number;
    }
  | { readonly kind: "evaluating"; readonly epoch: number }
  | {
      readonly kind: "epoch";
      readonly epoch: number;
      readonly step: number;
      readonly loss: number;
      readonly accuracy: number;
    };

/** From the worker to the page. */
export type Report =
  | Progress
  /** At the beginning, and again after a device was lost. */
  | { readonly kind: "opened"; readonly backends: readonly BackendChoice[] }
  | { readonly kind: "fetching"; readonly bytes: number; readonly total: number }
  | { readonly kind: "compiling" }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  | { readonly kind: "ended"; readonly stopped: boolean }
  /** The weights that predictions come from. */
  | { readonly kind: "weights"; readonly weights: Weights; readonly why: WeightsReason }
  | { readonly kind: "prediction"; readonly probabilities: readonly number[] }
  | { readonly kind: "failed"; readonly failure: FailureKind; readonly detail: string };
