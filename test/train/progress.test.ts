import assert from "node:assert/strict";
import { test } from "node:test";
import { showDuration, showNumber } from "../../src/train/index.ts";
import { Output } from "../../src/train/output.ts";
import { Progress } from "../../src/train/progress.ts";

function stream(isTTY: boolean, columns = 120) {
  const lines: string[] = [];
  return { lines, isTTY, columns, write: (text: string) => lines.push(text) };
}

test("numbers and durations", () => {
  assert.deepEqual([0, 0.012345, 12.3456, 1234.5, 1e-5, -2.5, 1e12, Number.NaN].map(showNumber), [
    "0",
    "0.01235",
    "12.35",
    "1,235",
    "1.00e-5",
    "-2.5",
    "1.00e+12",
    "NaN",
  ]);
  assert.deepEqual([0, 7.4, 754, 3723].map(showDuration), ["0:00", "0:07", "12:34", "1:02:03"]);
});

test("the line shows share, step, epoch, values, rate and time left", () => {
  let time = 0;
  const progress = new Progress(new Output({ mode: "quiet" }), () => time);
  progress.plan({ steps: 1000, epochs: 4, itemsPerStep: 64, unit: "images" });
  for (let step = 1; step <= 250; step++) {
    time += 0.1;
    progress.advance(step, Math.floor(step / 250));
  }
  progress.values({ loss: 0.12345 });
  assert.equal(
    progress.line(),
    " 25% ██████░░░░░░░░░░░░░░░░░░  step 250/1000  epoch 2/4  loss 0.1235  640 images/s  1:15 left",
  );
});

test("the rate follows the last seconds and a resumed run starts anew", () => {
  let time = 0;
  const progress = new Progress(new Output({ mode: "quiet" }), () => time);
  const run = (steps: number, seconds: number, from: number) => {
    for (let i = 1; i <= steps; i++) {
      time += seconds;
      progress.advance(from + i, 0);
    }
  };
  run(100, 0.1, 0);
  run(60, 1, 100);
  assert.ok(Math.abs((progress.rate ?? 0) - 1) < 0.01, `${progress.rate}`);
  progress.advance(50, 0);
  assert.equal(progress.rate, null);
});

test("a terminal is redrawn in place at most ten times a second, a file gets a line every ten seconds", () => {
  for (const live of [true, false]) {
    let time = 0;
    const stderr = stream(live, 40);
    const stdout = stream(live);
    const output = new Output({ stdout, stderr });
    const progress = new Progress(output, () => time);
    progress.plan({ steps: 4000 });
    for (let step = 1; step <= 2500; step++) {
      time += 0.01;
      progress.advance(step, 0);
    }
    assert.ok(
      live ? stderr.lines.length > 200 && stderr.lines.length <= 250 : stderr.lines.length === 2,
      `${stderr.lines.length}`,
    );
    for (const line of stderr.lines)
      if (live) assert.ok(line.startsWith("\r") && line.endsWith("\x1b[K") && line.length <= 39 + 4, line);
      else assert.match(line, /^ +\d+% .*left\n$/);
    output.info("done");
    assert.equal(stdout.lines.at(-1), "done\n");
    if (live) assert.equal(stderr.lines.at(-1), "\r\x1b[K"); // the bar is wiped before a line is printed
  }
});

test("quiet and json print no status and no information", () => {
  for (const mode of ["quiet", "json"] as const) {
    const [stdout, stderr] = [stream(true), stream(true)];
    const output = new Output({ mode, stdout, stderr });
    output.status("bar");
    output.info("text");
    output.event("log", { step: 1 });
    output.warn("careful");
    assert.deepEqual(stderr.lines, ["careful\n"]);
    assert.deepEqual(stdout.lines, mode === "json" ? ['{"event":"log","step":1}\n'] : []);
  }
});
