import { convolutions } from "./convolutions.ts";
import { models } from "./models.ts";
import { products } from "./products.ts";
import type { Work } from "./work.ts";

export { groups, type Work } from "./work.ts";

/** Everything that is measured. */
export const works: readonly Work[] = [...products, ...convolutions, ...models];
