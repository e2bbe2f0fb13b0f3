import { ManabiError } from "../core/errors.ts";
import type { OpenPool } from "./pool.ts";

export const openPool: OpenPool = (size) => {
  throw new ManabiError(
    `DataLoader: workers is ${size}; a browser has no loader threads: use workers: 0, and train in a Web Worker`,
  );
};
