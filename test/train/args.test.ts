import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ArgsError,
  checkArgs,
  choice,
  defaults,
  flag,
  float,
  formatArgs,
  helpText,
  int,
  parseArgs,
  type Run,
  recipe,
  text,
} from "../../src/train/index.ts";

const spec = {
  seed: int(1, "random seed"),
  batchSize: int(128, "images per step", { min: 1 }),
  lr: float(0.4, "peak learning rate", { min: 0, max: 10 }),
  model: choice(["resnet18", "resnet34", "resnet50"], "architecture"),
  flip: flag(true, "mirror images"),
  resumeBest: flag(false, "start from the best checkpoint"),
  data: text(null, "folder of images"),
  tag: text("", "a note"),
};

const base = {
  seed: 1,
  batchSize: 128,
  lr: 0.4,
  model: "resnet18",
  flip: true,
  resumeBest: false,
  data: null,
  tag: "",
} as const;

const problems = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ArgsError, String(error));
    assert.equal(error.message, error.problems.join("\n"));
    return error.problems;
  }
  assert.fail("no error");
};

test("types follow from the spec", () => {
  const values = defaults(spec);
  const batchSize: number = values.batchSize;
  const model: "resnet18" | "resnet34" | "resnet50" = values.model;
  const flip: boolean = values.flip;
  const data: string | null = values.data;
  const tag: string = values.tag;
  // @ts-expect-error a text with a text default is never null
  const notNull: null = values.tag;
  // @ts-expect-error the names of a choice are known
  const other: "resnet19" = values.model;
  assert.deepEqual([batchSize, model, flip, data, tag], [128, "resnet18", true, null, ""]);
  assert.ok(notNull === "" && other === ("resnet18" as string));
});

test("command line words", () => {
  assert.deepEqual(parseArgs(spec, []), base);
  const words =
    "--batch-size 64 --lr=1e-3 --model resnet50 --no-flip --resume-best --data a/b --seed -7 --tag=--x".split(" ");
  const expected = {
    seed: -7,
    batchSize: 64,
    lr: 1e-3,
    model: "resnet50",
    flip: false,
    resumeBest: true,
    data: "a/b",
    tag: "--x",
  };
  assert.deepEqual(parseArgs(spec, words), expected);
  assert.deepEqual(parseArgs(spec, ["--seed", "1", "--seed", "2"]).seed, 2);
  assert.deepEqual(parseArgs(spec, ["--lr", "1"], { lr: 2, seed: 5 }), { ...base, lr: 1, seed: 5 });
});

test("formatArgs is the inverse of parseArgs", () => {
  const values = { ...base, lr: 0.1, flip: false, resumeBest: true, model: "resnet34", tag: "a b" } as const;
  const words = formatArgs(spec, values);
  assert.deepEqual(words, ["--lr", "0.1", "--model", "resnet34", "--no-flip", "--resume-best", "--tag", "a b"]);
  assert.deepEqual(parseArgs(spec, words), values);
});

test("every problem of a command line is told, with the nearest names", () => {
  const words = "--batchsize 3 --lr fast --seed 1.5 --batch-size 0 --model resnet81 --flip=yes extra --data".split(" ");
  assert.deepEqual(
    problems(() => parseArgs(spec, words)),
    [
      'unknown option "--batchsize"; did you mean --batch-size?',
      '--flip takes no value (it is given "yes")',
      'unexpected "extra"; options start with --',
      "--data needs a value",
      "--seed: 1.5 is not a whole number",
      "--batch-size: 0 is out of range (at least 1)",
      '--lr: "fast" is not a number',
      '--model: "resnet81" is not one of them; did you mean resnet18, resnet34, resnet50?',
    ],
  );
});

test("values from JSON", () => {
  assert.deepEqual(checkArgs(spec, JSON.parse('{"lr":2,"data":"x"}')), { ...base, lr: 2, data: "x" });
  assert.deepEqual(
    problems(() => checkArgs(spec, { lr: 11, flip: 1, tag: null, seed: "1", modle: 1, toString: 1 })),
    [
      'unknown argument "modle"; did you mean model?',
      'unknown argument "toString"; known: seed, batchSize, lr, model, flip, resumeBest, data, tag',
      'seed: "1" is not a whole number',
      "lr: 11 is out of range (0 to 10)",
      "flip: 1 is not true or false",
      "tag: null is not text",
    ],
  );
  for (const bad of [null, [], 7, "x"])
    assert.match(problems(() => checkArgs(spec, bad))[0], /an object of name and value/);
  assert.match(problems(() => checkArgs(spec, { lr: Number.NaN }))[0], /is not a number/);
});

test("help shows defaults, ranges and choices", () => {
  assert.equal(
    helpText(spec),
    `  --seed <integer>        random seed (default 1)
  --batch-size <integer>  images per step (at least 1; default 128)
  --lr <number>           peak learning rate (0 to 10; default 0.4)
  --model <name>          architecture (resnet18 | resnet34 | resnet50; default resnet18)
  --no-flip               mirror images (default on)
  --resume-best           start from the best checkpoint (default off)
  --data <text>           folder of images
  --tag <text>            a note`,
  );
});

test("a recipe whose own values do not fit is refused when it is defined", () => {
  const run = async () => {};
  const define = (args: typeof spec, smoke: object) => recipe({ title: "x", args, smoke, run });
  assert.match(problems(() => define(spec, { lr: 20 }))[0], /lr: 20 is out of range/);
  assert.match(problems(() => define({ ...spec, lr: float(-1, "", { min: 0 }) }, {}))[0], /lr: -1 is out of range/);
  assert.equal(define(spec, {}).name, null);
});

test("a recipe infers the arguments of run", () => {
  recipe({
    title: "x",
    args: { lr: float(1, ""), model: choice(["a", "b"], "", "b") },
    smoke: { model: "a" },
    async run({ lr, model }, run) {
      const types: [number, "a" | "b", Run] = [lr, model, run];
      // @ts-expect-error a number
      const wrong: string = lr;
      await Promise.all([types, wrong]);
    },
  });
  const args = { m: choice(["a"], "") };
  // @ts-expect-error "c" is no choice
  assert.throws(() => recipe({ title: "x", args, smoke: { m: "c" }, async run() {} }), ArgsError);
});
