import type { MetricRecord } from "../metrics-log.ts";
import type { RunRecord } from "../run-record.ts";
import type { Markup } from "./markup.ts";

/** A part of a page with a heading of its own, which the contents at the top lead to. */
export interface PageSection {
  /** Unique on the page. */
  readonly id: string;
  readonly title: string;
  readonly body: Markup;
}

/** A PNG picture with a line of text under it. */
export interface ReportPicture {
  readonly png: Uint8Array;
  readonly caption?: string;
}

/** A wrongly classified picture; `probability` is that of the predicted class, 0 to 1. */
export interface Mistake {
  readonly png: Uint8Array;
  readonly truth: string;
  readonly predicted: string;
  readonly probability: number;
}

/** One line of the model's summary. */
export interface LayerRow {
  /** Path in the model, for example "layer1.0.conv1". */
  readonly name: string;
  /** Class, for example "Conv2d". */
  readonly kind: string;
  readonly output: readonly number[];
  readonly parameters: number;
  /** Floating-point operations for one forward pass of `output`; 0 where nothing counts. */
  readonly flops: number;
}

/** How often each true class (row) was predicted as each class (column). */
export interface ConfusionCounts {
  readonly labels: readonly string[];
  readonly counts: readonly (readonly number[])[];
}

/** A figure worth a large number at the top. */
export interface ReportResult {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
}

/** What a recipe adds to the report of its run; everything is optional. */
export interface ReportParts {
  /** One or two sentences on what was done. */
  readonly summary?: string;
  readonly results?: readonly ReportResult[];
  readonly confusion?: ConfusionCounts;
  readonly mistakes?: readonly Mistake[];
  readonly samples?: readonly ReportPicture[];
  /** Whatever else there is to show, made with `html`. */
  readonly sections?: readonly PageSection[];
  readonly model?: { readonly name: string; readonly layers: readonly LayerRow[] };
}

/** Everything a report shows. */
export interface ReportData extends ReportParts {
  readonly record: RunRecord;
  readonly metrics: readonly MetricRecord[];
}
