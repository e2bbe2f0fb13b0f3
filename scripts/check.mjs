// npm run check: types, lint, and the tests that need no C compiler; under a minute.
// npm run check:all adds every other test, slow ones included.
import { spawnSync } from "node:child_process";
import { argv, execPath, exit } from "node:process";
import { root, setup } from "./setup.mjs";

/** Words in the paths of tests that run without a device. */
const deviceFree = [
  ...["test/core", "test/graph", "test/primitives", "test/reference", "test/io", "test/data", "test/onnx"],
  ...[
    "engine/layers",
    "engine/snapshots",
    "engine/memory-plan",
    "engine/cost",
    "test/bench",
    "docs/ops",
    "browser/bundle",
    "studio/parts",
  ],
];

setup();
const checks = [
  ["types", "scripts/build.mjs"],
  ["types of the studio", "node_modules/typescript/bin/tsc", "-p", "studio"],
  ["lint", "node_modules/@biomejs/biome/bin/biome", "ci", "--error-on-warnings", "."],
  ["browser bundle", "scripts/build-browser.mjs"],
  ["device-free tests", "scripts/test.mjs", "--no-build", ...deviceFree],
];
if (argv.includes("--all")) checks.push(["all tests", "scripts/test.mjs", "--no-build", "--slow"]);

const results = checks.map(([name, ...args]) => {
  const start = performance.now();
  const { status } = spawnSync(execPath, args, { cwd: root, stdio: "inherit" });
  return `check ${name}: ${status === 0 ? "passed" : "failed"} (${((performance.now() - start) / 1000).toFixed(1)} s)`;
});
console.log(`\n${results.join("\n")}`);
exit(results.every((r) => r.includes(": passed")) ? 0 : 1);
