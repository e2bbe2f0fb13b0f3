import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  encodePng,
  type MetricRecord,
  type ReportData,
  Run,
  type RunRecord,
  renderReport,
  writeReport,
} from "../../src/train/index.ts";
import { curvesOf, type Point, smooth, thin } from "../../src/train/report/curves.ts";
import { magnitude, metricTitle, metricValue, percent } from "../../src/train/report/format.ts";
import { html } from "../../src/train/report/markup.ts";
import { pngSize } from "../../src/train/report/png.ts";

const record: RunRecord = {
  version: 1,
  id: "ab12",
  recipe: "toy",
  title: "A toy & <script>alert(1)</script>",
  args: { lr: 0.1, data: null, note: '"quoted" <b>' },
  metric: { name: "test/accuracy", goal: "max" },
  status: "done",
  error: null,
  step: 2000,
  epoch: 2,
  time: 83,
  metrics: { loss: 0.1, lr: 0.01, "test/accuracy": 0.9 },
  best: { value: 0.9312, step: 1000, epoch: 1 },
  sessions: [
    {
      started: "2026-01-02T03:04:05.000Z",
      ended: "2026-01-02T03:05:28.000Z",
      command: "manabi train toy --note '<b>'",
      pid: 1,
      host: "vm",
      environment: {
        manabi: "0.1.0",
        node: "v20.11.0",
        os: "Linux",
        cpu: "A <fast> CPU",
        cores: 2,
        memoryGiB: 8,
        precision: "highest",
        git: { commit: "0123456789abcdef", dirty: true },
      },
    },
  ],
};

const metrics: MetricRecord[] = Array.from({ length: 2000 }, (_, i) => ({
  step: i + 1,
  epoch: 0,
  time: i / 20,
  values: {
    loss: 2 / (1 + i / 50) + 0.3 * Math.sin(i * 1.7) ** 2,
    lr: 0.1 * (1 - i / 2000),
    ...(i % 500 === 499 ? { "test/loss": 1 / (1 + i / 100), "test/accuracy": 1 - 1 / (2 + i / 100) } : {}),
  },
}));

const png = await encodePng({ width: 28, height: 14, channels: 1, data: new Uint8Array(28 * 14) });
const confusion = (n: number) => ({
  labels: Array.from({ length: n }, (_, i) => (i ? `class <${i}>` : "a")),
  counts: Array.from({ length: n }, (_, t) =>
    Array.from({ length: n }, (_, p) => (t === p ? 90 : (t + p) % 7 ? 0 : 3)),
  ),
});
const full: ReportData = {
  record,
  metrics,
  summary: "What was done & how.",
  confusion: confusion(10),
  mistakes: [
    { png, truth: "<cat>", predicted: "dog", probability: 0.6 },
    { png, truth: "ant", predicted: "bee", probability: 0.99 },
  ],
  samples: [{ png, caption: "a <sample>" }],
  model: {
    name: "tiny",
    layers: [
      { name: "conv1", kind: "Conv2d", output: [1, 8, 28, 28], parameters: 72, flops: 112_896 },
      { name: "fc", kind: "Linear", output: [1, 10], parameters: 62_730, flops: 125_440 },
    ],
  },
};

const empty = new Set(["meta", "img", "br"]);
/** Checks that every element is closed in order and that no attribute or text breaks out. */
function assertWellFormed(page: string): void {
  const open: string[] = [];
  const body = page.replace(/<style>[^<]*<\/style>/, "").replace("<!doctype html>", "");
  for (const [tag, close, name] of body.matchAll(/<(\/?)([a-zA-Z0-9]+)(?:\s[\w:-]+(?:="[^"<>]*")?)*\s*\/?>|[<>]/g)) {
    assert.ok(name, `stray ${tag}`);
    if (close) assert.equal(open.pop(), name);
    else if (!empty.has(name) && !tag.endsWith("/>")) open.push(name);
  }
  assert.deepEqual(open, []);
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, "ids are unique");
  for (const [, id] of page.matchAll(/(?:href="#|aria-labelledby="|url\(#)([^")]+)/g)) assert.ok(ids.includes(id), id);
}

test("a full report is well-formed, escaped and needs nothing from outside", () => {
  const page = renderReport(full);
  assertWellFormed(page);
  assert.ok(!page.includes("<script"));
  assert.ok(page.includes("<h1>A toy &amp; &lt;script&gt;alert(1)&lt;/script&gt;</h1>"));
  assert.ok(page.includes("manabi train toy --note &#39;&lt;b&gt;&#39;"));
  assert.doesNotMatch(page, /https?:|@import|\bsrc="(?!data:image\/png;base64,)/);
  assert.match(page, /Content-Security-Policy" content="default-src &#39;none&#39;/);
  assert.doesNotMatch(page, /NaN|undefined|Infinity|\[object/);
  for (const title of [
    "Curves",
    "Confusion matrix",
    "Scores by class",
    "The worst mistakes",
    "Samples",
    "Model",
    "The run",
  ])
    assert.ok(page.includes(`>${title}</h2>`), title);
  assert.match(page, /Best test accuracy<\/dt><dd>93\.12\u00a0%<small>at step 1,000/);
  assert.match(page, /62,802<\/td><td class="number">238 k/); // totals of the model
  assert.ok(page.indexOf("predicted bee") < page.indexOf("predicted dog"), "the most certain mistake is first");
  assert.match(page, /0123456789ab with local changes/);
});

test("a run that has logged nothing, failed, or has few numbers still gives a page", () => {
  const page = renderReport({
    record: { ...record, status: "failed", error: "step 3: <bad>", best: null, metrics: {} },
    metrics: [],
  });
  assertWellFormed(page);
  assert.ok(page.includes("step 3: &lt;bad&gt;"));
  assert.ok(!page.includes("Curves"));
  const values: MetricRecord["values"][] = [{ loss: 1 }, { loss: 0 }, { loss: Number.NaN }, { loss: 1e-30, lr: 0 }];
  for (const value of values) {
    const one = renderReport({ record, metrics: [{ step: 0, epoch: 0, time: 0, values: value }] });
    assertWellFormed(one);
    assert.doesNotMatch(one, /NaN|Infinity/);
  }
});

test("large confusion matrices become a picture with the worst pairs listed", () => {
  for (const n of [2, 20, 21, 100, 150]) {
    const page = renderReport({ record, metrics: [], confusion: confusion(n) });
    assertWellFormed(page);
    assert.equal(page.includes("Most frequent confusions"), n > 20, `${n}`);
    assert.equal(page.includes('<svg class="heat"'), n > 20);
  }
  const flawless = {
    labels: ["a", "b"],
    counts: [
      [5, 0],
      [0, 0],
    ],
  };
  assertWellFormed(renderReport({ record, metrics: [], confusion: flawless }));
});

test("curves are grouped by quantity, the loss first", () => {
  const curves = curvesOf(metrics);
  assert.deepEqual(
    curves.map(({ title, series }) => [title, series.map(({ set, points }) => [set, points.length])]),
    [
      [
        "Loss",
        [
          ["train", 2000],
          ["test", 4],
        ],
      ],
      ["Accuracy", [["test", 4]]],
      ["Learning rate", [["", 2000]]],
    ],
  );
});

test("thinning keeps spikes and order, smoothing keeps a constant and does not lag", () => {
  const points: Point[] = Array.from({ length: 10_000 }, (_, x) => ({ x, y: x === 7777 ? 100 : Math.sin(x / 500) }));
  const thinned = thin(points, 400);
  assert.ok(thinned.length <= 500, `${thinned.length}`);
  assert.ok(thinned.some(({ y }) => y === 100));
  assert.ok(thinned.every(({ x }, i) => i === 0 || x > thinned[i - 1].x));
  assert.ok(
    smooth(
      points.map(({ x }) => ({ x, y: 3 })),
      50,
    ).every(({ y }) => Math.abs(y - 3) < 1e-9),
  );
  const line = smooth(
    points.map(({ x }) => ({ x, y: x })),
    50,
  );
  assert.ok(Math.abs(line[5000].y - 5000) < 1e-6);
});

test("numbers and names for people", () => {
  assert.deepEqual([0, 999, 1000, 999_499, 11_689_512, 4.089e9].map(magnitude), [
    "0",
    "999",
    "1 k",
    "999 k",
    "11.7 M",
    "4.09 G",
  ]);
  assert.equal(percent(0.99312), "99.31\u00a0%");
  assert.deepEqual(["lr", "loss", "top1", "gradNorm", "grad_norm"].map(metricTitle), [
    "Learning rate",
    "Loss",
    "Top-1 accuracy",
    "Grad norm",
    "Grad norm",
  ]);
  assert.deepEqual([metricValue("test/accuracy", 0.5), metricValue("test/loss", 0.5)], ["50.00\u00a0%", "0.5"]);
  assert.equal(
    html`<a title="${"\"'<>&\u0001"}">${["x", null, false, 1]}</a>`.text,
    '<a title="&quot;&#39;&lt;&gt;&amp;\ufffd">x1</a>',
  );
});

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-report-"));
});
after(() => rm(root, { recursive: true }));

test("the report of a run folder shows its samples and what the recipe adds", async () => {
  assert.deepEqual(pngSize(png), { width: 28, height: 14 });
  const run = await Run.create({ recipe: "toy", args: {}, folder: join(root, "run"), output: { mode: "quiet" } });
  run.log({ step: 1, loss: 1 });
  await run.sample("grid", png);
  run.report({ summary: "one" });
  run.report({ confusion: confusion(3) });
  await run.finish("done");
  const page = await readFile(join(run.folder, "report.html"), "utf8");
  assertWellFormed(page);
  for (const part of ["<p>one</p>", "Confusion matrix", "grid, step 1"]) assert.ok(page.includes(part), part);
  assert.equal(await writeReport(run.folder, {}), join(run.folder, "report.html"));
  assert.ok(!(await readFile(join(run.folder, "report.html"), "utf8")).includes("Confusion matrix"));
});
