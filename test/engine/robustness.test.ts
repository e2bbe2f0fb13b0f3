/** The native backend where the machine is not as it should be: each case is a process of its own. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { nativeBackend } from "../../src/backends/native/index.ts";

const extension = import.meta.url.endsWith(".js") ? "js" : "ts";
const entry = new URL(`../../src/index.${extension}`, import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), "manabi-robustness-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const program = `
  import { tensor, backendStatus } from ${JSON.stringify(entry)};
  const x = tensor([1, 2, 3]);
  console.log(x.mul(2).add(1).sum().itemSync(), x.square().sum().itemSync(), backendStatus()[0].works);
`;

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
}

async function runs(env: Record<string, string>, code = program): Promise<Outcome> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
    env: { ...process.env, NODE_OPTIONS: "", ...env },
    timeout: 120_000,
  });
  return { stdout: stdout.trim(), stderr };
}

let count = 0;
const fresh = (): string => {
  const path = join(folder, String(++count));
  mkdirSync(path);
  return path;
};

/** A folder whose only program is \`cc\`, with this script. */
function compiler(script: string): string {
  const path = fresh();
  writeFileSync(join(path, "cc"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(path, "cc"), 0o755);
  return path;
}

/** The machine's compiler without optimization, which is several times faster to run. */
function quickCompiler(): string {
  const real = execFileSync("/bin/sh", ["-c", "command -v cc || command -v gcc || command -v clang"], {
    encoding: "utf8",
  });
  return compiler(`PATH=${process.env.PATH} exec ${real.trim()} "$@" -O0`);
}

const warnings = (stderr: string): string[] => stderr.split("\n").filter((line) => line.startsWith("manabi: "));

test("no compiler: says so once, with the cure, and computes on the wasm backend", async () => {
  const { stdout, stderr } = await runs({ PATH: fresh(), XDG_CACHE_HOME: fresh() });
  assert.equal(stdout, "15 14 false");
  assert.equal(warnings(stderr).length, 1);
  assert.match(stderr, /no C compiler found \(cc, gcc, clang\).*wasm backend.*apt install gcc/);
});

test("a compiler that fails: its words, and the wasm backend", async () => {
  const path = compiler(
    'if [ "$1" = --version ]; then echo broken 1.0; else echo "no such instruction" >&2; exit 1; fi',
  );
  const { stdout, stderr } = await runs({ PATH: path, XDG_CACHE_HOME: fresh() });
  assert.equal(stdout, "15 14 false");
  assert.equal(warnings(stderr).length, 1);
  assert.match(stderr, /no such instruction/);
});

describe("with a compiler", { skip: nativeBackend() === null && "no C compiler" }, () => {
  const cache = fresh();
  let PATH = "";
  before(() => {
    PATH = quickCompiler();
  });
  const libraries = () => readdirSync(join(cache, "manabi/native"));

  test("two processes fill an empty cache at once", async () => {
    const outcomes = await Promise.all([runs({ PATH, XDG_CACHE_HOME: cache }), runs({ PATH, XDG_CACHE_HOME: cache })]);
    for (const { stdout, stderr } of outcomes) {
      assert.equal(stdout, "15 14 true");
      assert.deepEqual(warnings(stderr), []);
    }
    assert.ok(
      libraries().every((name) => /^(runtime|kernels)-[0-9a-f]{32}\.so$/.test(name)),
      libraries().join(),
    );
  });

  test("damaged libraries are compiled again", async () => {
    const kernels = libraries().filter((name) => name.startsWith("kernels"));
    assert.equal(kernels.length, 2);
    truncateSync(join(cache, "manabi/native", kernels[0]), 4096);
    writeFileSync(join(cache, "manabi/native", kernels[1]), "no library");
    const { stdout, stderr } = await runs({ PATH, XDG_CACHE_HOME: cache });
    assert.equal(stdout, "15 14 true");
    assert.deepEqual(warnings(stderr), []);
  });

  test("a full cache needs no compiler run", async () => {
    const versionOnly = compiler(`if [ "$1" = --version ]; then exec ${join(PATH, "cc")} --version; else exit 1; fi`);
    const { stdout } = await runs({ PATH: versionOnly, XDG_CACHE_HOME: cache });
    assert.equal(stdout, "15 14 true");
  });

  test("a cache that cannot be written: says so once and compiles into a temporary folder", async () => {
    const file = join(fresh(), "file");
    writeFileSync(file, "");
    const own = fresh();
    const { stdout, stderr } = await runs({ PATH, XDG_CACHE_HOME: file, TMPDIR: own });
    assert.equal(stdout, "15 14 true");
    assert.equal(warnings(stderr).length, 1);
    assert.match(stderr, /cannot keep compiled code in .*file.*XDG_CACHE_HOME/);
    assert.deepEqual(readdirSync(own), [], "nothing is left behind");
  });

  test("nowhere to write at all: the wasm backend", async () => {
    const file = join(fresh(), "file");
    writeFileSync(file, "");
    const { stdout, stderr } = await runs({ PATH, XDG_CACHE_HOME: file, TMPDIR: file });
    assert.equal(stdout, "15 14 false");
    assert.match(stderr, /computing on the wasm backend/);
  });

  test("a worker thread computes while the main thread does", async () => {
    const code = `
      import { Worker, isMainThread, parentPort } from "node:worker_threads";
      import { tensor, setBackend, setThreads } from ${JSON.stringify(entry)};
      setBackend("native");
      const n = 60;
      const x = tensor(Float32Array.from({ length: n * n }, (_, i) => (i % 7) - 3), { shape: [n, n] });
      const work = () => {
        let sum = 0;
        for (let i = 0; i < 50; i++) {
          setThreads(1 + (i % 3));
          sum += x.matmul(x.transpose()).add(tensor(i)).sum().itemSync();
        }
        return sum;
      };
      if (isMainThread) {
        const workers = [1, 2].map(() => new Worker(process.argv[1]));
        const answers = workers.map((w) => new Promise((resolve, reject) => w.on("message", resolve).on("error", reject)));
        const mine = work();
        console.log(new Set([mine, ...(await Promise.all(answers))]).size);
      } else parentPort.postMessage(work());
    `;
    const file = join(fresh(), "threads.mjs");
    writeFileSync(file, code);
    const { stdout } = await promisify(execFile)(process.execPath, [file], {
      env: { ...process.env, PATH, XDG_CACHE_HOME: cache },
      timeout: 120_000,
    });
    assert.equal(stdout.trim(), "1");
  });
});
