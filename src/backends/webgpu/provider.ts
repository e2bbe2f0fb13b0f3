import { type BackendProvider, Unavailable } from "../provider.ts";
import { type WebGpuBackend, webgpuBackend } from "./index.ts";

let prepared: WebGpuBackend | Error = new Unavailable(
  "no device has been opened yet",
  'await prepareBackend("webgpu") opens one',
);

export const webgpuProvider: BackendProvider = {
  name: "webgpu",
  // Only who has asked for a device expects it.
  expected: false,
  async prepare(options) {
    try {
      prepared = await webgpuBackend(options);
    } catch (error) {
      prepared = error as Error;
    }
  },
  open() {
    if (prepared instanceof Error) throw prepared;
    const { device } = prepared;
    return { backend: prepared, detail: () => device.name, multipliesBf16: false, threads: null };
  },
};
