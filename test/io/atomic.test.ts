import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { copyAtomic, makeFolder, removeLeftovers, WriteError, writeAtomic } from "../../src/io/atomic.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-atomic-"));
});
after(() => rm(folder, { recursive: true }));

const fresh = async (): Promise<string> => mkdtemp(join(folder, "case-"));

test("text, bytes and pieces replace the old file", async () => {
  const path = join(await fresh(), "file.txt");
  await writeAtomic(path, "one");
  await writeAtomic(path, Uint8Array.of(116, 119, 111));
  assert.equal(await readFile(path, "utf8"), "two");
  await writeAtomic(path, async (file) => {
    await file.write("th");
    await file.write(Buffer.from("ree"));
  });
  assert.equal(await readFile(path, "utf8"), "three");
  await copyAtomic(path, `${path}.copy`);
  assert.equal(await readFile(`${path}.copy`, "utf8"), "three");
});

test("a failure in the middle leaves the old file and no temporary one", async () => {
  const dir = await fresh();
  const path = join(dir, "file.txt");
  await writeAtomic(path, "old");
  const failing = writeAtomic(path, async (file) => {
    await file.write("new");
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  });
  await assert.rejects(failing, (error) => {
    assert.ok(error instanceof WriteError);
    assert.equal(error.code, "ENOSPC");
    assert.equal(
      error.message,
      `cannot write ${path}: the disk is full; free some space or choose another folder (ENOSPC); ` +
        "the previous file, if any, is untouched",
    );
    return true;
  });
  assert.equal(await readFile(path, "utf8"), "old");
  assert.deepEqual(await readdir(dir), ["file.txt"]);
});

test("an error of the callback itself passes unchanged", async () => {
  const path = join(await fresh(), "file.txt");
  const failing = writeAtomic(path, async () => {
    throw new RangeError("mine");
  });
  await assert.rejects(failing, new RangeError("mine"));
});

test("a really full disk", (t) => {
  // A 64 KiB file system of our own, where the kernel allows one without privileges.
  const script = `
    import { readdir, readFile } from "node:fs/promises";
    import { writeAtomic } from ${JSON.stringify(new URL(`../../src/io/atomic${extname(import.meta.url)}`, import.meta.url).href)};
    const path = process.argv[1] + "/file.bin";
    await writeAtomic(path, "old");
    const error = await writeAtomic(path, new Uint8Array(1 << 20)).catch((error) => error);
    console.log(JSON.stringify([error.code, await readFile(path, "utf8"), await readdir(process.argv[1])]));`;
  const mount = join(folder, "full");
  const shell = 'mkdir -p "$1" && mount -t tmpfs -o size=64k tmpfs "$1" && shift && exec "$@"';
  const node = [process.execPath, "--input-type=module", "-e", script, mount];
  const { status, stdout } = spawnSync("unshare", ["-rm", "sh", "-c", shell, "sh", mount, ...node], {
    encoding: "utf8",
  });
  if (status !== 0) return t.skip("this system does not let a test mount a small file system");
  assert.deepEqual(JSON.parse(stdout), ["ENOSPC", "old", ["file.bin"]]);
});

test("folders that cannot be written, files in the way and devices are refused by name", async (t) => {
  const dir = await fresh();
  await writeFile(join(dir, "plain"), "");
  await mkdir(join(dir, "folder"));
  await assert.rejects(
    writeAtomic(join(dir, "none", "x"), ""),
    /cannot write .*: the folder does not exist \(ENOENT\)/,
  );
  await assert.rejects(writeAtomic(join(dir, "plain", "x"), ""), /is a file, not a folder \(ENOTDIR\)/);
  await assert.rejects(writeAtomic(join(dir, "folder"), ""), /it is a folder; choose another name/);
  await makeFolder(join(dir, "a", "b", "c"));
  await makeFolder(join(dir, "a", "b"));
  assert.deepEqual(await readdir(join(dir, "a", "b")), ["c"]);
  if (process.platform === "linux") await assert.rejects(makeFolder("/proc/none/none"), /cannot write \/proc\/none/);
  await assert.rejects(makeFolder(join(dir, "plain")), /a file of this name is in the way/);
  await assert.rejects(makeFolder(join(dir, "plain", "x")), /is a file, not a folder/);
  if (process.platform !== "win32") await assert.rejects(writeAtomic("/dev/null", ""), /it is not a regular file/);
  await t.test("read-only", { skip: process.getuid?.() === 0 && "root may write everywhere" }, async () => {
    await chmod(join(dir, "folder"), 0o500);
    await assert.rejects(writeAtomic(join(dir, "folder", "x"), ""), /permission denied.*\(EACCES\)/);
    await assert.rejects(makeFolder(join(dir, "folder", "x")), /permission denied.*\(EACCES\)/);
  });
});

test("temporary files of killed processes are removed, those of running ones stay", async () => {
  const dir = await fresh();
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const name = (pid: number) => `.x.safetensors.${pid}-0123abcd.tmp`;
  for (const pid of [gone, process.ppid, process.pid]) await writeFile(join(dir, name(pid)), "");
  await writeFile(join(dir, "kept.tmp"), "");
  await writeAtomic(join(dir, "busy"), () => removeLeftovers(dir));
  assert.deepEqual(new Set(await readdir(dir)), new Set(["busy", "kept.tmp", name(process.ppid)]));
});
