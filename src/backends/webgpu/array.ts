import { byteSize, type DType, type TypedArray } from "../../core/dtype.ts";
import type { DeviceArray } from "../../core/value.ts";
import type { BufferPool } from "./pool.ts";
import { memoryBytes } from "./wgsl/scalar.ts";

/** Smaller ones weigh nothing beside the objects that stand for them. */
const heavy = 1 << 14;

/** What an array needs of the device that it lies on. */
export interface DeviceMemory {
  readonly pool: BufferPool;
  check(): void;
  download(array: GpuArray): Promise<TypedArray>;
  copy(array: GpuArray): GpuArray;
}

const finalizers = new FinalizationRegistry<() => void>((free) => free());

/** Values in a buffer of a GPU, from its beginning, four bytes each, or two of a 16-bit float. */
export class GpuArray implements DeviceArray {
  readonly backend = "webgpu";
  readonly dtype: DType;
  readonly length: number;
  readonly device: DeviceMemory;
  readonly buffer: GPUBuffer;
  /**
   * Never touched, so it takes no memory; but it lets the garbage collector, which knows nothing of the GPU's memory,
   * see how much this object holds, and so collect dead ones in time.
   */
  readonly ballast: ArrayBuffer | null;

  constructor(device: DeviceMemory, dtype: DType, length: number) {
    this.device = device;
    this.dtype = dtype;
    this.length = length;
    const bytes = memoryBytes(length, dtype);
    const buffer = device.pool.take(bytes);
    this.buffer = buffer;
    this.ballast = bytes < heavy ? null : new ArrayBuffer(bytes);
    finalizers.register(this, () => device.pool.give(buffer));
  }

  get byteLength(): number {
    return this.length * byteSize(this.dtype);
  }
  read(): Promise<TypedArray> {
    return this.device.download(this);
  }
  slice(): GpuArray {
    return this.device.copy(this);
  }
}
