/** Superpixels of pieces of photos: exactly the regions that scikit-image finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostArray } from "../../src/core/dtype.ts";
import { felzenszwalb, quickshift, slic } from "../../src/superpixels/index.ts";
import { numbered } from "../../src/superpixels/segmentation.ts";
import { readJson, readTensors } from "../golden/fixture.ts";

interface Case {
  readonly name: string;
  readonly image: string;
  readonly method: keyof typeof methods;
  readonly options: never;
}

const methods = { slic, quickshift, felzenszwalb };
const cases = await readJson<Case[]>("superpixels.json");
const tensors = await readTensors("superpixels.safetensors");

for (const { name, image, method, options } of cases)
  test(name, () => {
    const { labels, width, height, count } = methods[method](tensors.get(image) as HostArray, options);
    const { data, shape } = tensors.get(name) as HostArray;
    assert.deepEqual([height, width], shape);
    const want = numbered(Int32Array.from(data), width, height); // scikit-image numbers regions in another order
    assert.deepEqual([...labels], [...want.labels]);
    assert.equal(count, want.count);
  });
