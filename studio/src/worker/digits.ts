import { type Dataset, type IdxArray, idxImages, parseIdx } from "manabi/data";
import { Failure } from "./failure.ts";

export interface Digits {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** Told of bytes that have come and of those that are expected, as far as servers say. */
export type FetchListener = (bytes: number, total: number) => void;

const classes = Array.from({ length: 10 }, (_, digit) => String(digit));

/**
 * MNIST from a folder of a web server: the four IDX files under their official names, gzipped (`.gz`) or plain. Throws
 * a `Failure` where files are missing or are not what they should be.
 */
export async function fetchDigits(folder: string, onFetch: FetchListener): Promise<Digits> {
  const sizes = new Map<string, { bytes: number; total: number }>();
  const read = (name: string) =>
    fetchIdx(folder, name, (bytes, total) => {
      sizes.set(name, { bytes, total });
      const all = [...sizes.values()];
      onFetch(
        all.reduce((sum, s) => sum + s.bytes, 0),
        all.reduce((sum, s) => sum + s.total, 0),
      );
    });
  const part = async (name: string) => {
    const [images, labels] = await Promise.all([read(`${name}-images-idx3-ubyte`), read(`${name}-labels-idx1-ubyte`)]);
    if (images.shape[1] !== 28 || images.shape[2] !== 28)
      throw new Failure("data-bad", `${images.name}: the images are ${images.shape.slice(1).join(" x ")}, not 28 x 28`);
    try {
      return idxImages(images, labels, classes);
    } catch (error) {
      throw new Failure("data-bad", (error as Error).message, { cause: error });
    }
  };
  const [train, test] = await Promise.all([part("train"), part("t10k")]);
  return { train, test };
}

async function fetchIdx(folder: string, name: string, onFetch: FetchListener): Promise<IdxArray> {
  const response = (await ask(`${folder}${name}.gz`)) ?? (await ask(`${folder}${name}`));
  if (!response) throw new Failure("data-missing", `${folder}${name}.gz`);
  try {
    const bytes = await readBody(response, onFetch);
    return { name, ...parseIdx(await inflated(bytes), name) };
  } catch (error) {
    throw new Failure("data-bad", `${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** The answer to a request, or null where there is no such file: servers of one-page applications send a page then. */
async function ask(url: string): Promise<Response | null> {
  const response = await fetch(url).catch((cause: Error) => {
    throw new Failure("data-missing", `${url}: ${cause.message}`, { cause });
  });
  return response.ok && !response.headers.get("content-type")?.startsWith("text/html") ? response : null;
}

async function readBody(response: Response, onFetch: FetchListener): Promise<Uint8Array<ArrayBuffer>> {
  const total = Number(response.headers.get("content-length") ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    bytes += next.value.length;
    onFetch(bytes, Math.max(total, bytes));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Some servers undo the compression themselves, so the bytes tell, not the name. */
async function inflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
