import { backendStatus, prepareBackend, setBackend, threadCount } from "manabi";
import type { BackendChoice } from "./messages.ts";

/** Every backend of this browser, best first, with what it computes with or why it does not work. */
export async function findBackends(): Promise<BackendChoice[]> {
  await prepareBackend("webgpu");
  const found = backendStatus().map(({ name, works, detail }) => {
    if (works) setBackend(name);
    return { name, works, detail, threads: works ? threadCount() : 0 };
  });
  setBackend("auto");
  return found;
}
