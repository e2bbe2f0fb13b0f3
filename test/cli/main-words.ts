import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** What a child process is started with to run the command line: from source, or compiled as these tests are. */
const extension = extname(import.meta.url);
const main = fileURLToPath(new URL(`../../src/cli/main${extension}`, import.meta.url));
export const mainWords: readonly string[] = extension === ".ts" ? ["-C", "source", main] : [main];
