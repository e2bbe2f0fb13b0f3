import type { BackendProvider } from "../provider.ts";
import { reference } from "./index.ts";

export const referenceProvider: BackendProvider = {
  name: "reference",
  expected: true,
  open: () => ({
    backend: reference,
    detail: () => "plain TypeScript, one thread",
    multipliesBf16: false,
    threads: null,
  }),
};
