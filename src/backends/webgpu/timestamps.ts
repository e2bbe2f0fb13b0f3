/** Flags of WebGPU, which a global holds in browsers alone. */
const [MAP_READ, COPY_SRC, COPY_DST, QUERY_RESOLVE] = [1, 4, 8, 0x200];
const READ = 1;

/** Most queries of a set. */
const mostQueries = 4096;
const timestampBytes = 8;

/** When passes of one submission begin and end, by the device's clock. */
export class Timestamps {
  private readonly passes: number;
  private readonly sets: readonly GPUQuerySet[];
  private readonly resolved: GPUBuffer;
  private readonly staging: GPUBuffer;

  /** For so many passes, of a device with the feature `timestamp-query`. */
  constructor(gpu: GPUDevice, passes: number) {
    this.passes = passes;
    const queries = 2 * passes;
    this.sets = Array.from({ length: Math.ceil(queries / mostQueries) }, (_, i) =>
      gpu.createQuerySet({ type: "timestamp", count: Math.min(mostQueries, queries - i * mostQueries) }),
    );
    const size = queries * timestampBytes;
    this.resolved = gpu.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    this.staging = gpu.createBuffer({ size, usage: MAP_READ | COPY_DST });
  }

  /** What has pass number `pass` timed. */
  of(pass: number): GPUComputePassTimestampWrites {
    const at = (2 * pass) % mostQueries;
    const querySet = this.sets[Math.floor((2 * pass) / mostQueries)];
    return { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Ends the recording of the submission. */
  resolve(encoder: GPUCommandEncoder): void {
    for (const [i, set] of this.sets.entries())
      encoder.resolveQuerySet(set, 0, set.count, this.resolved, i * mostQueries * timestampBytes);
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, this.staging.size);
  }

  /** Seconds of every pass, once the submission is done. */
  async seconds(): Promise<number[]> {
    await this.staging.mapAsync(READ);
    const times = new BigUint64Array(this.staging.getMappedRange().slice(0));
    for (const used of [...this.sets, this.resolved, this.staging]) used.destroy();
    // A device may set its clock back, as when it saves power.
    return Array.from({ length: this.passes }, (_, i) => Math.max(0, Number(times[2 * i + 1] - times[2 * i])) / 1e9);
  }
}
