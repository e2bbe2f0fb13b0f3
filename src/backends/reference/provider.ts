import type { BackendProvider, OpenBackend } from "../provider.ts";
import { reference } from "./index.ts";

const opened: OpenBackend = {
  backend: reference,
  detail: () => "plain TypeScript, one thread",
  multipliesBf16: false,
  threads: null,
};

export const referenceProvider: BackendProvider = {
  name: "reference",
  dtypes: reference.dtypes,
  expected: true,
  open: () => opened,
};
