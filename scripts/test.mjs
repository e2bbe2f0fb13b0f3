// npm test [-- words..] [--slow] [--update]
// Builds, then runs the compiled tests whose path contains one of the words; all without words.
//   --slow    also those named *.slow.test.ts
//   --update  writes what snapshot tests compare with anew, instead of comparing
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { argv, execPath, exit } from "node:process";
import { node, root } from "./setup.mjs";

const flags = argv.slice(2).filter((a) => a.startsWith("--"));
const words = argv.slice(2).filter((a) => !a.startsWith("--"));
const unknown = flags.filter((f) => !["--slow", "--update", "--no-build"].includes(f));
if (unknown.length) {
  console.error(`unknown option ${unknown.join(", ")}; known: --slow, --update, --no-build`);
  exit(2);
}
if (!flags.includes("--no-build")) node("scripts/build.mjs");

const files = readdirSync(join(root, "dist/test"), { recursive: true })
  .map((f) => join("dist/test", f))
  .filter((f) => f.endsWith(".test.js") && (words.length === 0 || words.some((w) => f.includes(w))))
  .filter((f) => flags.includes("--slow") || !f.endsWith(".slow.test.js"))
  .sort();
if (files.length === 0) {
  console.error(`no test matches ${words.join(" ")}`);
  exit(2);
}

if (flags.includes("--update")) {
  const snapshots = files.filter((f) => readFileSync(join(root, f), "utf8").includes("support/snapshot.js"));
  for (const file of snapshots) node(file, "--update");
  exit(0);
}

// The run time of the native backend is compiled once here, not by every test process at the same time.
const warm = 'await import("./dist/src/backends/select.js").then((m) => m.backendStatus())';
spawnSync(execPath, ["--input-type=module", "-e", warm], { cwd: root, stdio: "inherit" });

const options = ["--test", "--test-reporter=spec", `--test-concurrency=${Math.max(2, availableParallelism())}`];
const { status } = spawnSync(execPath, [...options, ...files], { cwd: root, stdio: "inherit" });
exit(status ?? 1);
