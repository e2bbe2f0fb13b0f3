import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. Compiled tests lie one level deeper, in dist/test. */
export const root = fileURLToPath(new URL(import.meta.url.endsWith(".js") ? "../../../" : "../../", import.meta.url));

/** Absolute path of a file in test/fixtures. */
export const fixture = (name: string): string => join(root, "test/fixtures", name);
