import { host } from "#platform/core/host";
import { arrayType, type DType, type TypedArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { type DeviceMemory, GpuArray } from "./array.ts";
import { Backlog } from "./backlog.ts";
import { BufferPool, showMiB } from "./pool.ts";
import type { Timestamps } from "./timestamps.ts";
import { memoryBytes, wordBytes } from "./wgsl/scalar.ts";
import type { Workgroups } from "./wgsl/shader.ts";

/** Flags of WebGPU, which a global holds in browsers alone. */
const [MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [1, 4, 8, 64, 128];
const COMPUTE = 4;
const READ = 1;

/** What reading or running on a lost device says. */
const cureOfLoss =
  'what lay in its memory is gone. await prepareBackend("webgpu") opens a device for new values; load models and ' +
  "optimizers from a checkpoint";

/** How long the word that a device is lost may take. */
const lossMs = 100;

/** A GPU that has been opened: its memory, its compiled shaders, and its faults, which come to light later. */
export class Device implements DeviceMemory {
  readonly gpu: GPUDevice;
  readonly name: string;
  readonly pool: BufferPool;
  readonly backlog: Backlog;
  /** Kept alive: the Dawn of Node.js ends with it. */
  readonly source: GPU;
  readonly workgroups: Workgroups;
  private readonly staging: BufferPool;
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  private arena: GPUBuffer | null = null;
  private lossReason: string | null = null;
  private fault: ManabiError | null = null;
  private settled: Promise<void> = Promise.resolve();

  constructor(gpu: GPUDevice, name: string, source: GPU, workgroups: Workgroups) {
    this.gpu = gpu;
    this.name = name;
    this.source = source;
    this.workgroups = workgroups;
    this.pool = new BufferPool((bytes) => this.createBuffer(bytes, STORAGE | COPY_SRC | COPY_DST));
    this.backlog = new Backlog(() => gpu.queue.onSubmittedWorkDone(), host.warn);
    this.staging = new BufferPool((bytes) => this.createBuffer(bytes, MAP_READ | COPY_DST));
    gpu.lost.then(({ message, reason }) => {
      this.lossReason = message || reason;
    });
    gpu.addEventListener("uncapturederror", ({ error }) => {
      this.fault ??= new ManabiError(`webgpu: ${error.message}`);
    });
  }

  get isLost(): boolean {
    return this.lossReason !== null;
  }

  /** Throws what has gone wrong since it was asked last. */
  check(): void {
    if (this.lossReason !== null)
      throw new ManabiError(`webgpu: the device was lost (${this.lossReason}); ${cureOfLoss}`);
    const { fault } = this;
    this.fault = null;
    if (fault) throw fault;
  }

  /** Runs `fn` and notes what the device finds wrong with what it did, under a name that people know it by. */
  watch<T>(what: string, fn: () => T, explain = (message: string) => message): T {
    const filters = ["validation", "out-of-memory", "internal"] as const;
    for (const filter of filters) this.gpu.pushErrorScope(filter);
    try {
      return fn();
    } finally {
      const scopes = filters.map(() => this.gpu.popErrorScope());
      const before = this.settled;
      this.settled = Promise.all(scopes)
        .then((errors) => {
          const error = errors.find((e) => e !== null);
          if (error) this.fault ??= new ManabiError(`webgpu: ${what}: ${explain(error.message)}`);
        })
        .catch(() => {}) // the device is lost, which check() tells
        .then(() => before);
    }
  }

  /** Submits what `record` records, under a name; `inputBytes` were written to buffers for it. */
  submit(what: string, record: (encoder: GPUCommandEncoder) => void, inputBytes = 0): void {
    this.watch(what, () => {
      const encoder = this.gpu.createCommandEncoder();
      record(encoder);
      this.gpu.queue.submit([encoder.finish()]);
    });
    this.backlog.add(inputBytes);
  }

  /** Resolves when all that has been submitted is done; throws what went wrong. */
  async finish(): Promise<void> {
    await this.gpu.queue.onSubmittedWorkDone().catch((error: Error) => this.fail("work was not done", error));
    await this.settled;
    this.check();
  }

  /** Seconds of the passes of a submission that was timed; throws what went wrong. */
  async secondsOf(timestamps: Timestamps): Promise<number[]> {
    const seconds = await timestamps.seconds().catch((error: Error) => this.fail("times could not be read", error));
    await this.settled;
    this.check();
    return seconds;
  }

  // Memory

  private createBuffer(bytes: number, usage: number): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.gpu.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    const state = `the values on ${this.name} take ${showMiB(this.pool.usedBytes)}`;
    const cure = "a smaller batch or model needs less";
    if (bytes > most)
      throw new ManabiError(
        `webgpu: one buffer of ${showMiB(bytes)} is needed, the device takes at most ${showMiB(most)} (${state}); ${cure}`,
      );
    const buffer: GPUBuffer = this.watch(
      `no memory for a buffer of ${showMiB(bytes)}`,
      () => this.gpu.createBuffer({ size: bytes, usage }),
      (message) => {
        for (const pool of [this.pool, this.staging]) pool.forget(buffer);
        return `${message} (${state}, one buffer takes at most ${showMiB(most)}); ${cure}`;
      },
    );
    return buffer;
  }

  /** Memory for temporaries, which whatever program is running has to itself: programs run one after the other. */
  reserve(bytes: number): GPUBuffer {
    if (!this.arena || this.arena.size < bytes) {
      if (this.arena) this.pool.give(this.arena);
      this.arena = null;
      this.arena = this.pool.take(bytes);
    }
    return this.arena;
  }

  /** Writes host values into a buffer. */
  write(buffer: GPUBuffer, values: TypedArray): void {
    if (values.length) this.gpu.queue.writeBuffer(buffer, 0, wordsOf(values));
  }

  upload(values: TypedArray, dtype: DType): GpuArray {
    const array = new GpuArray(this, dtype, values.length);
    this.write(array.buffer, values);
    return array;
  }

  copy(array: GpuArray): GpuArray {
    this.check();
    const out = new GpuArray(this, array.dtype, array.length);
    this.transfer(array.buffer, out.buffer, memoryBytes(array.length, array.dtype));
    return out;
  }

  async download(array: GpuArray): Promise<TypedArray> {
    this.check();
    const bytes = memoryBytes(array.length, array.dtype);
    if (bytes === 0) return new (arrayType(array.dtype))(0);
    const staging = this.staging.take(bytes);
    this.transfer(array.buffer, staging, bytes);
    await staging.mapAsync(READ, 0, bytes).catch((error: Error) => this.fail("values could not be read", error));
    const values = valuesIn(staging.getMappedRange(0, bytes), array);
    staging.unmap();
    this.staging.give(staging);
    await this.settled;
    this.check();
    return values;
  }

  /** Throws why the device refuses: one that is lost does so before it tells that it is lost. */
  private async fail(what: string, error: Error): Promise<never> {
    await this.settled;
    await Promise.race([this.gpu.lost, new Promise((resolve) => setTimeout(resolve, lossMs))]);
    this.check();
    throw new ManabiError(`webgpu: ${what}: ${error.message}`);
  }

  private transfer(from: GPUBuffer, to: GPUBuffer, bytes: number): void {
    if (bytes === 0) return;
    this.submit("a copy", (encoder) => encoder.copyBufferToBuffer(from, 0, to, 0, bytes));
  }

  /** A buffer of uniform blocks. */
  uniforms(words: Int32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.createBuffer(Math.max(16, words.byteLength), UNIFORM | COPY_DST);
    this.gpu.queue.writeBuffer(buffer, 0, words);
    return buffer;
  }

  // Shaders

  /** The layout of a uniform block and of storage bindings that are written or not. */
  layout(bindings: readonly boolean[]): GPUBindGroupLayout {
    const key = bindings.map(Number).join("");
    let layout = this.layouts.get(key);
    if (!layout) {
      const storage = bindings.map((written, i): GPUBindGroupLayoutEntry => {
        const type = written ? "storage" : "read-only-storage";
        return { binding: i + 1, visibility: COMPUTE, buffer: { type } };
      });
      const block = { binding: 0, visibility: COMPUTE, buffer: { type: "uniform", hasDynamicOffset: true } } as const;
      layout = this.gpu.createBindGroupLayout({ entries: [block, ...storage] });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  /** The compiled shader of this text, shared by all programs. */
  pipeline(text: string, bindings: readonly boolean[], label: string): GPUComputePipeline {
    let pipeline = this.pipelines.get(text);
    if (!pipeline) {
      pipeline = this.watch(`the shader of ${label}`, () =>
        this.gpu.createComputePipeline({
          label,
          layout: this.gpu.createPipelineLayout({ bindGroupLayouts: [this.layout(bindings)] }),
          compute: { module: this.gpu.createShaderModule({ label, code: text }) },
        }),
      );
      this.pipelines.set(text, pipeline);
    }
    return pipeline;
  }

  /** Gives everything back. */
  destroy(): void {
    this.gpu.destroy();
  }
}

/** Values as words: elements of one byte take one each, those of two bytes lie as they are. */
function wordsOf(values: TypedArray): TypedArray {
  if (values.BYTES_PER_ELEMENT === 1) return Uint32Array.from(values);
  if (values.byteLength % wordBytes === 0) return values;
  const padded = new Uint16Array(values.length + 1);
  padded.set(values);
  return padded;
}

/** The values that words of the device hold. */
function valuesIn(words: ArrayBuffer, { dtype, length }: GpuArray): TypedArray {
  const type = arrayType(dtype);
  return type.BYTES_PER_ELEMENT === 1
    ? type.from(new Uint32Array(words))
    : new type(words.slice(0, length * type.BYTES_PER_ELEMENT));
}
