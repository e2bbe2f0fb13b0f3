/** A data set that misbehaves on request, opened by worker threads in loader tests. */
import type { Dataset, Sample } from "../../src/data/index.ts";

export default function oddDataset(length: number, trouble: "none" | "throw" | "exit" | "shapes"): Dataset {
  return {
    length,
    classes: ["a", "b"],
    labels: Int32Array.from({ length }, (_, i) => i & 1),
    spec: null,
    async get(index): Promise<Sample> {
      if (index === 5 && trouble === "throw") throw new Error("the disk is on fire");
      if (index === 5 && trouble === "exit") process.exit(3);
      const size = index === 5 && trouble === "shapes" ? 3 : 2;
      return [{ dtype: "f32", shape: [size], data: new Float32Array(size).fill(index) }, index & 1];
    },
    describe: (index) => `odd/${index}.dat`,
  };
}
