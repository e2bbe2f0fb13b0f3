import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PbfReader } from "pbf";
import { type MetricRecord, MetricsLog, readMetrics } from "../../src/train/metrics-log.ts";
import { EventWriter, maskedCrc32c, records } from "../../src/train/tensorboard.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "manabi-logs-"));
});
after(() => rm(root, { recursive: true }));
const fresh = (): Promise<string> => mkdtemp(join(root, "case-"));

const entry = (step: number, values: MetricRecord["values"] = { loss: 1 / step }) => ({
  step,
  epoch: 0,
  time: step / 10,
  values,
});
const ignore = () => {};

test("records keep their order however long their values take, and do not block", async () => {
  const path = join(await fresh(), "metrics.jsonl");
  const seen: number[] = [];
  const log = await MetricsLog.open(path, 0, ({ step }) => seen.push(step));
  let asked = 0;
  for (let step = 1; step <= 120; step++) {
    const item = () => {
      asked++;
      return step % 3 ? step : new Promise<number>((done) => setTimeout(() => done(step), step % 2));
    };
    log.add({ ...entry(step), values: { loss: { item }, lr: 0.5 } });
    assert.equal(asked, 0); // nothing is computed while the loop runs
  }
  await log.close();
  const steps = Array.from({ length: 120 }, (_, i) => i + 1);
  assert.deepEqual(seen, steps);
  assert.deepEqual(
    (await readMetrics(path)).map(({ step, values }) => [step, values.loss, values.lr]),
    steps.map((step) => [step, step, 0.5]),
  );
});

test("records that wait are written after a while without a flush", async () => {
  const path = join(await fresh(), "metrics.jsonl");
  const written = new Promise<void>(
    (done) => void MetricsLog.open(path, 0, () => done()).then((log) => log.add(entry(1))),
  );
  const alive = setInterval(ignore, 1000); // the log's own timer does not keep a process alive
  await written;
  clearInterval(alive);
});

test("what a value or the observer throws stops the log; what came before is in the file", async () => {
  const path = join(await fresh(), "metrics.jsonl");
  const log = await MetricsLog.open(path, 0, ({ step }) => {
    if (step === 3) throw new RangeError("no");
  });
  for (let step = 1; step <= 5; step++) log.add(entry(step));
  await assert.rejects(log.flush(), new RangeError("no"));
  assert.throws(() => log.add(entry(6)), new RangeError("no"));
  await assert.rejects(log.close(), new RangeError("no"));
  assert.deepEqual(
    (await readMetrics(path)).map(({ step }) => step),
    [1, 2, 3],
  );
});

test("reopening keeps the records that count and cuts the rest, a torn line too", async () => {
  const path = join(await fresh(), "metrics.jsonl");
  const write = async (keep: number, steps: number[]) => {
    const log = await MetricsLog.open(path, keep, ignore);
    for (const step of steps) log.add(entry(step));
    await log.close();
    return log.count;
  };
  assert.equal(await write(0, [1, 2, 3, 4]), 4);
  await appendFile(path, '{"step":5,"ep');
  assert.deepEqual(
    (await readMetrics(path)).map(({ step }) => step),
    [1, 2, 3, 4],
  );
  assert.equal(await write(2, [3, 4]), 4);
  assert.deepEqual(
    (await readMetrics(path)).map(({ step }) => step),
    [1, 2, 3, 4],
  );
  assert.equal(await write(100, [5]), 5);
  await writeFile(path, `${(await readFile(path, "utf8")).slice(0, -1)}garbage\n`);
  assert.equal(await write(100, []), 4);
  assert.deepEqual(await readMetrics(join(root, "none")), []);
});

test("a value that is not finite reads back as NaN", async () => {
  const path = join(await fresh(), "metrics.jsonl");
  const log = await MetricsLog.open(path, 0, ignore);
  log.add(entry(1, { loss: Number.POSITIVE_INFINITY }));
  await log.close();
  assert.deepEqual((await readMetrics(path))[0], entry(1, { loss: Number.NaN }));
});

test("the checksum is CRC-32C, masked", () => {
  const unmask = (masked: number) => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  assert.equal(unmask(maskedCrc32c(Buffer.from("123456789"))), 0xe3069283); // the check value of the standard
  assert.equal(unmask(maskedCrc32c(new Uint8Array(32))), 0x8a9136aa); // RFC 3720, B.4
});

interface Decoded {
  step: number;
  kind: string;
  tag: string;
  number: number;
}
/** The events of a folder in TensorBoard's order, decoded by field number. */
async function decode(folder: string): Promise<string[]> {
  const out: string[] = [];
  for (const name of (await readdir(folder)).sort())
    for (const { data } of records(await readFile(join(folder, name)))) {
      const event: Decoded = { step: 0, kind: "", tag: "", number: Number.NaN };
      new PbfReader(data).readFields((field, into, pbf) => {
        if (field === 2) into.step = pbf.readVarint();
        if (field === 3) into.kind = pbf.readString();
        if (field === 7) into.kind = "session";
        if (field === 5) pbf.readMessage(readSummary, into);
      }, event);
      out.push([event.step, event.kind, event.tag, event.number].filter((x) => x !== "" && !Number.isNaN(x)).join(" "));
    }
  return out;
}
const readSummary = (field: number, into: Decoded, pbf: PbfReader): void => {
  if (field === 1) pbf.readMessage(readValue, into);
};
const readValue = (field: number, into: Decoded, pbf: PbfReader): void => {
  if (field === 1) into.tag = pbf.readString();
  if (field === 2) into.number = pbf.readFloat();
  if (field === 4) into.kind = "image";
  if (field === 8) into.kind = "text";
};

test("events are framed and numbered; a resumed run cuts them back and marks its session", async () => {
  const folder = await fresh();
  let writer = await EventWriter.open(folder);
  writer.text("args", 0, "hello");
  for (let step = 1; step <= 3; step++) writer.scalars(step, step, { loss: step / 2 });
  writer.image("grid", 3, new Uint8Array(40), { width: 2, height: 1 });
  await writer.close();
  assert.equal(writer.count, 5);
  const first = ["0 brain.Event:2", "0 text args", "1 loss 0.5", "2 loss 1", "3 loss 1.5", "3 image grid"];
  assert.deepEqual(await decode(folder), first);

  const [name] = await readdir(folder);
  await truncate(join(folder, name), (await readFile(join(folder, name))).length - 3); // torn by a kill
  writer = await EventWriter.open(folder, 3, 2);
  assert.equal(writer.count, 3);
  writer.scalars(3, 3, { loss: 9 });
  await writer.close();
  assert.deepEqual(await decode(folder), [...first.slice(0, 4), "0 brain.Event:2", "3 session", "3 loss 9"]);

  writer = await EventWriter.open(folder, 4, 3);
  await writer.close();
  assert.equal(writer.count, 4);
});
