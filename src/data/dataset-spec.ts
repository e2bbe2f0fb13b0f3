/** Images of one size in one block of memory, and what names them. */
export interface ImageBlock {
  /** u8 [count, height, width, channels]; shared memory lets workers read it without a copy. */
  readonly pixels: Uint8Array<ArrayBufferLike>;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  /** Where the images came from, for messages. */
  readonly origin: string;
}

/** What to do with an image that does not decode: stop, or leave it out of its batch and say so. */
export type OnError = "throw" | "skip";

/** Image files with their labels, as plain data. */
export interface ImageFiles {
  readonly paths: readonly string[];
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly onError: OnError;
}

/** A data set as plain data, from which any thread can open it. */
export type DatasetSpec =
  | { readonly kind: "memory"; readonly block: ImageBlock; readonly rows: Uint32Array | null }
  | { readonly kind: "files"; readonly files: ImageFiles }
  | { readonly kind: "subset"; readonly of: DatasetSpec; readonly indices: Uint32Array }
  | { readonly kind: "concat"; readonly parts: readonly DatasetSpec[] }
  | { readonly kind: "module"; readonly url: string; readonly args: readonly unknown[] };

/** True when reading a sample takes more than a copy from memory. */
export function needsDecoding(spec: DatasetSpec): boolean {
  if (spec.kind === "subset") return needsDecoding(spec.of);
  if (spec.kind === "concat") return spec.parts.some(needsDecoding);
  return spec.kind !== "memory";
}
