import { ManabiError } from "../../core/errors.ts";
import { type Graph, reachable } from "../../graph/node.ts";
import type { Backend } from "../backend.ts";
import type { GpuArray } from "./array.ts";
import type { Device } from "./device.ts";
import { openDevice, type WebGpuOptions } from "./open.ts";
import { compileProgram } from "./program.ts";
import { webgpuDTypes } from "./wgsl/scalar.ts";

export type { WebGpuOptions } from "./open.ts";
export { webgpuDTypes } from "./wgsl/scalar.ts";

/** Why the other dtypes are refused. */
export const refusals = {
  f64: "WGSL has no 64-bit floats",
} as const;

export interface WebGpuBackend extends Backend<GpuArray> {
  readonly device: Device;
}

let opened = 0;

/** Opens a device and gives the backend that computes on it. */
export async function webgpuBackend(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
  const device = await openDevice(options);
  return {
    name: "webgpu",
    memory: "device",
    // Programs hold buffers and shaders of their device.
    key: `webgpu ${++opened}`,
    dtypes: webgpuDTypes,
    device,
    finish: () => device.finish(),
    compile(graph) {
      refuseDTypes(graph);
      return compileProgram(graph, device);
    },
  };
}

function refuseDTypes({ inputs, outputs }: Graph): void {
  for (const { dtype, prim } of reachable([...outputs, ...inputs]))
    if (!webgpuDTypes.has(dtype))
      throw new ManabiError(
        `webgpu: ${prim.name} is ${dtype}, and ${refusals[dtype as keyof typeof refusals]}; it computes in ` +
          `${[...webgpuDTypes].join(", ")}: cast, or take the backend native`,
      );
}
