import { inPlace, values, type Work } from "./work.ts";

/** Extents of a product [batch, m, k] [batch, k, n]. */
type Product = readonly [batch: number, m: number, k: number, n: number];

const squares = [512, 1024, 2048, 4096].map((n): Product => [1, n, n, n]);

/** Those of a transformer of width 768 with 12 heads on 512 tokens. */
const transformer: readonly Product[] = [
  [1, 512, 768, 3072],
  [1, 512, 3072, 768],
  [1, 512, 768, 768],
  [1, 512, 768, 2304],
  [12, 512, 64, 512],
  [12, 512, 512, 64],
];

const product = ([batch, m, k, n]: Product): Work => ({
  group: "gemm",
  measure: "seconds",
  name: `GEMM ${batch > 1 ? `${batch}x` : ""}${m === k && k === n ? n : `${m}x${k}x${n}`}`,
  request: { case: "gemm", batch, m, k, n },
  flops: 2 * batch * m * k * n,
  async prepare() {
    const head = batch > 1 ? [batch] : [];
    return inPlace((x, y) => x.matmul(y), values([...head, m, k]), values([...head, k, n], 2));
  },
});

export const products: readonly Work[] = [...squares, ...transformer].map(product);
