import { type BackendProvider, type OpenBackend, Unavailable } from "../provider.ts";
import { showWorkgroups } from "./capabilities.ts";
import type { Device } from "./device.ts";
import { webgpuBackend, webgpuDTypes } from "./index.ts";

const another = 'await prepareBackend("webgpu") opens one';

/** The backend on the device that was opened last, or why there is none. */
let prepared: (OpenBackend & { readonly device: Device }) | Error = new Unavailable(
  "no device has been opened",
  another,
);

export const webgpuProvider: BackendProvider = {
  name: "webgpu",
  dtypes: webgpuDTypes,
  // Only who has asked for a device expects it.
  expected: false,
  async prepare(options) {
    if (!(prepared instanceof Error) && !prepared.device.isLost) return;
    try {
      const backend = await webgpuBackend(options);
      const { device } = backend;
      prepared = {
        backend,
        device,
        detail: () => `${device.name}; ${showWorkgroups(device.workgroups)}`,
        multipliesBf16: false,
        threads: null,
      };
    } catch (error) {
      prepared = error as Error;
    }
  },
  open() {
    if (prepared instanceof Error) throw prepared;
    if (prepared.device.isLost) throw new Unavailable("the device was lost", another);
    return prepared;
  },
};
