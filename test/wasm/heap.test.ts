/** Blocks of the wasm backend's memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { aligned, Heap } from "../../src/backends/wasm/heap.ts";
import { Rng, seedKey } from "../../src/core/rng.ts";

const start = 4096;
const end = start + (1 << 20);

test("blocks do not overlap, stay in range, and join again when they are free", () => {
  const heap = new Heap(start);
  heap.extend(end);
  const rng = new Rng(seedKey(1));
  const blocks: { address: number; bytes: number }[] = [];
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    if (blocks.length && rng.chance(0.5)) {
      const [{ address, bytes }] = blocks.splice(rng.int(blocks.length), 1);
      heap.give(address, bytes);
    }
    const bytes = Math.ceil(2 ** rng.uniform(0, 16));
    const address = heap.take(bytes);
    if (address === null) refused++;
    else blocks.push({ address, bytes });
    if (i % 100 !== 0) continue;
    const sorted = [...blocks].sort((a, b) => a.address - b.address);
    sorted.forEach((block, k) => {
      const stop = block.address + aligned(block.bytes);
      assert.ok(block.address >= start && stop <= (sorted[k + 1]?.address ?? end), `block ${k} of ${sorted.length}`);
    });
    assert.equal(
      heap.used,
      blocks.reduce((sum, b) => sum + aligned(b.bytes), 0),
    );
  }
  assert.ok(refused > 0, "the range was never full");
  for (const { address, bytes } of blocks) heap.give(address, bytes);
  assert.equal(heap.used, 0);
  assert.equal(heap.take(end - start), start, "all free blocks are one");
});

test("a range that grows joins its last free block with what is new", () => {
  const heap = new Heap(0);
  heap.extend(1024);
  assert.equal(heap.take(512), 0);
  assert.equal(heap.take(1024), null);
  assert.equal(heap.missing(1024), 512);
  heap.extend(1536);
  assert.equal(heap.take(1024), 512);
});
