/** Manabi itself on its native backend, for measurements of its other backends. */
import { setBackend, setThreads } from "../../backends/select.ts";
import { works } from "../works/index.ts";
import type { Library, Load } from "./serve.ts";

export async function connect(_load: Load, threads: number): Promise<Library> {
  setBackend("native");
  setThreads(threads);
  return {
    name: "manabi, native",
    prepare: async ({ work }) => works.find(({ name }) => name === work)?.prepare() ?? `no work ${work}`,
  };
}
