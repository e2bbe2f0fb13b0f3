/** Times of runs as profiles, traces and pictures; made-up runs, no device. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Executable, Timing } from "../../src/backends/backend.ts";
import { findWorks, groupMeans, type Row } from "../../src/bench/compare.ts";
import { bandwidth, leastSeconds, type MachinePeaks, roofAt } from "../../src/bench/machine.ts";
import { median, profilePrograms, selfSeconds } from "../../src/bench/profile.ts";
import { LabelSpace } from "../../src/bench/roofline/labels.ts";
import { rooflinePage } from "../../src/bench/roofline/page.ts";
import { showFlops, showRate, showSeconds, showShare } from "../../src/bench/roofline/units.ts";
import { traceOf } from "../../src/bench/trace.ts";
import { Decoder, VisionTransformer } from "../../src/bench/works/networks.ts";
import type { ProgramRun } from "../../src/ops/jit.ts";

const rate = (one: number, all: number) => ({ one, all });

/** 100 GFLOP/s and 10 GB/s: the roof bends at 10 operations per byte. */
const peaks: MachinePeaks = {
  ...{
    cpu: "A <machine>",
    threads: 2,
    load: 0.1,
    chain: 1e9,
    scalar: 5e9,
    bf16: [{ name: "AMX", ...rate(5e11, 1e12) }],
  },
  ...{ f32: rate(5e10, 1e11), f64: rate(2e10, 5e10) },
  memory: { read: rate(8e9, 1e10), write: rate(4e9, 6e9), copy: rate(6e9, 8e9), triad: rate(6e9, 8e9) },
  caches: [{ level: 1, bytes: 32768, shared: 1, read: rate(2e11, 4e11) }],
};

const timing = (name: string, seconds: number, more: Partial<Timing> = {}): Timing => ({
  ...{ kind: "kernel", name, shape: "8", text: name, depth: 0, calls: 1, flops: 1000, bytesRead: 80, bytesWritten: 20 },
  ...{ seconds, ...more },
});

const program = { arenaBytes: 4096 } as Executable;
const run = (start: number, timings: readonly Timing[], more: Partial<ProgramRun> = {}): ProgramRun => ({
  ...{ executable: program, parameters: ["f32[8]"], variables: 2, variableBytes: 64, updates: 1, start, timings },
  ...{ seconds: timings.reduce((sum, t) => sum + (t.depth ? 0 : t.seconds), 0) + 1e-6, ...more },
});

describe("profile", () => {
  test("equal instructions are one row, times are medians over runs, shares add up", () => {
    const runs = [1, 5, 3].map((t, i) =>
      run(i, [timing("a", t * 1e-8), timing("b", 2e-8), timing("a", t * 1e-8), timing("copy", 1e-8, { flops: 0 })]),
    );
    const [{ kernels, runs: count, flops, bytes, arenaBytes }] = profilePrograms(runs, peaks);
    assert.deepEqual([count, flops, bytes, arenaBytes], [3, 3000, 400, 4096]);
    const [a] = kernels;
    assert.deepEqual(
      kernels.map(({ name }) => name),
      ["a", "b", "copy"],
    );
    assert.deepEqual([a.count, a.calls, a.flops, a.bytes, a.intensity], [2, 2, 2000, 200, 10]);
    assert.ok(Math.abs(a.seconds - 6e-8) < 1e-15);
    // 2000 operations and 200 bytes both take 20 ns at least; the row took 60.
    assert.ok(Math.abs((a.roofline ?? 0) - 1 / 3) < 1e-9);
    assert.equal(kernels[2].intensity, null);
    assert.ok(Math.abs(kernels.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-12);
  });
  test("a loop keeps what its body leaves, and the work is the body's", () => {
    const timings = [
      timing("before", 1),
      timing("loop", 10, { kind: "loop" }),
      timing("inner", 4, { depth: 1, calls: 5 }),
      timing("loop", 5, { kind: "loop", depth: 1, text: "inner loop" }),
      timing("deep", 3, { depth: 2, calls: 50 }),
      timing("after", 1),
    ];
    assert.deepEqual(selfSeconds(timings), [1, 1, 4, 2, 3, 1]);
    const [{ kernels, flops }] = profilePrograms([run(0, timings)], null);
    assert.equal(flops, 1000 * (1 + 5 + 50 + 1));
    assert.deepEqual(
      kernels.find(({ name }) => name === "loop"),
      { ...kernels.find(({ name }) => name === "loop"), flops: 0, bytes: 0, roofline: null },
    );
  });
  test("programs that update variables come first", () => {
    const other = run(0, [timing("x", 9)], { executable: {} as Executable, updates: 0 });
    const names = profilePrograms([other, run(1, [timing("a", 1)])], null).map(({ name, updates }) => [name, updates]);
    assert.deepEqual(names, [
      ["step", 1],
      ["program 2", 0],
    ]);
  });
  test("median", () => assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]));
});

test("the roof: memory limits on the left, arithmetic on the right", () => {
  assert.equal(bandwidth(peaks), 1e10);
  assert.deepEqual([roofAt(peaks, 1), roofAt(peaks, 10), roofAt(peaks, 100)], [1e10, 1e11, 1e11]);
  assert.deepEqual([leastSeconds(peaks, 1e11, 1e9), leastSeconds(peaks, 0, 1e10)], [1, 1]);
});

test("a trace has every instruction within its program, bodies within their loops, in microseconds", () => {
  const timings = [
    timing("a", 1e-3),
    timing("loop", 4e-3, { kind: "loop" }),
    timing("in", 3e-3, { depth: 1 }),
    timing("z", 1e-3),
  ];
  const { traceEvents } = traceOf("title", [run(100, timings), run(200, timings)]);
  const events = traceEvents.flatMap(({ ph, name, ts = -1, dur = -1 }) => (ph === "X" ? [{ name, ts, dur }] : []));
  assert.equal(events.length, 10);
  assert.deepEqual(
    events.slice(0, 5).map(({ name, ts, dur }) => [name, Math.round(ts), Math.round(dur)]),
    [
      ["step 1", 0, 6001],
      ["a 8", 0, 1000],
      ["loop 8", 1000, 4000],
      ["in 8", 1000, 3000],
      ["z 8", 5000, 1000],
    ],
  );
  assert.equal(events[5].ts, 100_000);
  assert.ok(traceEvents.some(({ ph, name }) => ph === "M" && name === "process_name"));
  assert.doesNotThrow(() => JSON.stringify(traceEvents));
});

test("labels overlap neither each other nor marks, or are left out", () => {
  const marks = Array.from({ length: 40 }, (_, i) => ({ x: 100 + (i % 8) * 9, y: 100 + (i >> 3) * 9, r: 4 }));
  const area = { left: 0, right: 300, top: 0, bottom: 300 };
  const space = new LabelSpace(area, marks);
  const line = space.along(
    [
      { x: 90, y: 120 },
      { x: 200, y: 120 },
    ],
    0,
    60,
  );
  assert.deepEqual(line, { x: 200, y: 120 }, "the first place lies over marks");
  const labels = marks.flatMap((mark, i) => space.beside(mark, String(i)) ?? []);
  assert.ok(labels.length > 0 && labels.length < 40);
  for (const a of labels) {
    assert.ok(a.x < 196 || Math.abs(a.y - 115) > 14, "not over the line of text");
    for (const b of labels)
      assert.ok(a === b || Math.abs(a.x - b.x) >= 9 || Math.abs(a.y - b.y) >= 14, `${a.x} ${a.y} over ${b.x} ${b.y}`);
  }
  const large = { x: 50, y: 50, r: 20 };
  assert.deepEqual(new LabelSpace(area, [large]).beside(large, "1"), { x: 50, y: 50 });
});

test("a page with the picture, with and without a recipe", () => {
  const programs = profilePrograms([run(0, [timing("gemm_f32", 1e-6, { kind: "op" }), timing("a", 1e-7)])], peaks);
  const command = "manabi profile x --note '<b>'";
  for (const recipe of [null, { name: "x", title: "T <i>", command, programs, peakBytes: 1e9 }]) {
    const page = rooflinePage("1.0.0", peaks, recipe);
    assert.match(page, /<svg viewBox/);
    assert.match(page, /A &lt;machine&gt;/);
    assert.match(page, /bf16, AMX, 2 cores: 1 TFLOP\/s/);
    assert.doesNotMatch(page, /NaN|undefined|Infinity|<b>'|<script/);
    assert.equal(page.includes("gemm_f32"), recipe !== null);
  }
});

test("units", () => {
  assert.deepEqual([showFlops(1.5e11), showFlops(12), showRate(2.5e10)], ["150 GFLOP/s", "12 FLOP/s", "25 GB/s"]);
  assert.deepEqual([showSeconds(1.234), showSeconds(0.01234), showSeconds(7.89e-5)], ["1.23 s", "12.3 ms", "78.9 us"]);
  assert.deepEqual([showShare(0.1234), showShare(null)], ["12.3 %", "-"]);
});

describe("works", () => {
  test("are chosen by group and by word", () => {
    assert.ok(findWorks([]).length > 100);
    assert.ok(findWorks(["depthwise"]).every(({ group }) => group === "depthwise"));
    assert.equal(findWorks(["depthwise"]).length, 36);
    assert.deepEqual(
      findWorks(["mlp"]).map(({ request }) => request.case),
      ["mlp"],
    );
    assert.throws(() => findWorks(["gemn"]), /unknown work "gemn"; did you mean gemm/);
  });
  test("names differ, and rates know the operations", () => {
    const works = findWorks([]);
    assert.equal(new Set(works.map(({ name }) => name)).size, works.length);
    assert.equal(findWorks(["GEMM 12x512x64x512"])[0].flops, 2 * 12 * 512 * 64 * 512);
    // 8 images, 56x56 results, 5x5 taps, 144 channels.
    assert.equal(findWorks(["depthwise 144 56 5x5/2 forward"])[0].flops, 2 * 8 * 144 * 28 * 28 * 25);
  });
  test("transformers are of the size that their papers and the peers' own have", () => {
    assert.equal(new VisionTransformer().parameterCount, 86_567_656);
    // GPT-2 small has 124,439,808 with a context of 1024.
    assert.equal(new Decoder(50257, 512).parameterCount, 124_439_808 - 512 * 768);
  });
  test("means are geometric, over what both did", () => {
    const row = (ours: number, theirs: number | null): Row => ({
      ...{ name: "", group: "gemm", measure: "seconds", ours, peers: { torch: theirs }, unable: {}, gflops: null },
    });
    const [mean] = groupMeans([row(1, 2), row(4, 2), row(9, 18), row(5, null)], ["torch"]);
    assert.deepEqual([mean.group, mean.works], ["gemm", 3]);
    assert.ok(Math.abs(mean.ratio - (0.5 * 2 * 0.5) ** (1 / 3)) < 1e-12);
  });
});
