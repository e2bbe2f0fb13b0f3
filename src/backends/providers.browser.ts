import type { BackendProvider } from "./provider.ts";
import { referenceProvider } from "./reference/provider.ts";

/** The backends of a browser, best first. */
export const providers: readonly BackendProvider[] = [referenceProvider];

/** Where these are. */
export const platform = "a browser";
