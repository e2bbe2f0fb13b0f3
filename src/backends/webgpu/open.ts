import { ManabiError } from "../../core/errors.ts";
import { compiled, matrixFeature, matrixUnits, subgroupSizes } from "./capabilities.ts";
import { Device } from "./device.ts";

/** How the device is chosen. */
export interface WebGpuOptions {
  /** Where adapters come from; by default `navigator.gpu`, else the `webgpu` package. */
  readonly gpu?: GPU;
  readonly powerPreference?: GPUPowerPreference;
  /** Whether shaders use subgroup operations where the device has them; by default they do. */
  readonly subgroups?: boolean;
  /**
   * Whether products of f16 use subgroup matrices. By default they do where the adapter offers them; that is an experiment
   * of Chromium's and Dawn's behind a flag, which `true` turns on in Node.js. In Chromium: --enable-unsafe-webgpu.
   */
  readonly subgroupMatrices?: boolean;
}

/** Limits that are taken as large as the adapter has them; all others stay WebGPU's defaults. */
const generous = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
] as const;

/** What helps where there is no adapter. */
const adapterCure = {
  node:
    "On Linux it needs Vulkan (Debian, Ubuntu: apt install libvulkan1 mesa-vulkan-drivers, or the vendor's driver); a " +
    "GPU in software is used where VK_ICD_FILENAMES names one, such as SwiftShader's vk_swiftshader_icd.json of " +
    "Debian's chromium",
  browser:
    "Turn on hardware acceleration in the browser's settings and update the driver of the GPU; chrome://gpu or " +
    "about:support tells why WebGPU is off. The wasm backend needs no GPU",
} as const;

const platform = () => (typeof process === "undefined" ? "browser" : "node");

/** The name of the package with Dawn; a variable, so that bundles for the browser leave it out. */
const dawn: string = "webgpu";

/** Opens a device, or throws an error that says what is missing and what helps. */
export async function openDevice(options: WebGpuOptions): Promise<Device> {
  const { gpu, powerPreference = "high-performance", subgroups = true, subgroupMatrices } = options;
  const from = gpu ?? (await findGpu(subgroupMatrices === true ? ["enable-dawn-features=allow_unsafe_apis"] : []));
  const adapter = await from.requestAdapter({ powerPreference }).catch((error: Error) => {
    throw new ManabiError(`WebGPU gave no adapter: ${error.message}`);
  });
  if (!adapter)
    throw new ManabiError(
      `WebGPU finds no adapter: the GPU has no driver that it takes, or there is no GPU. ${adapterCure[platform()]}`,
    );
  const requiredLimits = Object.fromEntries(generous.map((name) => [name, adapter.limits[name]]));
  const { vendor, architecture, description } = adapter.info;
  const name = [description, vendor, architecture].filter(Boolean).join(", ") || "adapter without a name";
  const sizes = subgroups ? subgroupSizes(from, adapter) : null;
  const units = sizes && subgroupMatrices !== false ? matrixUnits(adapter) : [];
  const requiredFeatures: GPUFeatureName[] = [
    ...(adapter.features.has("timestamp-query") ? (["timestamp-query"] as const) : []),
    ...(sizes ? (["subgroups"] as const) : []),
    ...(units.length ? [matrixFeature] : []),
    ...(units.some(({ component }) => component === "f16") ? (["shader-f16"] as const) : []),
  ];
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures }).catch((error: Error) => {
    throw new ManabiError(`WebGPU gave no device on ${name}: ${error.message}`);
  });
  return new Device(device, name, from, {
    shared: device.limits.maxComputeWorkgroupStorageSize,
    subgroups: sizes,
    matrices: await compiled(device, units, sizes?.most ?? 1),
  });
}

/** `flags` are for Dawn in Node.js. */
async function findGpu(flags: readonly string[]): Promise<GPU> {
  const here = (globalThis as { readonly navigator?: { readonly gpu?: GPU } }).navigator?.gpu;
  if (here) return here;
  if (platform() === "browser")
    throw new ManabiError(
      "this browser has no WebGPU (navigator.gpu), or the page is not served over https or from localhost; the wasm " +
        "backend needs neither",
    );
  let loaded: { readonly create: (options: readonly string[]) => GPU };
  try {
    loaded = await import(dawn);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND")
      throw new ManabiError("Node.js has no WebGPU of its own; npm install webgpu adds Dawn (132 MB)");
    throw new ManabiError(`the package webgpu does not load here: ${message}`);
  }
  return loaded.create(flags);
}
