// Installs the dependencies when they are missing or older than the lock file. Other scripts call `setup()` first.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { argv, execPath, exit, version } from "node:process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a Node script of the repository in the foreground; ends this process if it fails. */
export function node(...args) {
  const { status } = spawnSync(execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) exit(status ?? 1);
}

const changed = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;

export function setup() {
  const [major, minor] = version.slice(1).split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 11)) {
    console.error(`Manabi needs Node 20.11 or newer, this is ${version}: install one from https://nodejs.org`);
    exit(1);
  }
  const installed = changed("node_modules/.package-lock.json");
  if (installed >= changed("package-lock.json")) return;
  console.log(installed ? "Dependencies have changed: npm ci" : "Installing dependencies: npm ci");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    console.error("npm ci failed: see its message above; it needs the network or a warm npm cache");
    exit(status ?? 1);
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) setup();
