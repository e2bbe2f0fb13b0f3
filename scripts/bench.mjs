// npm run bench [-- words and options]: builds, then runs `manabi bench`.
import { spawnSync } from "node:child_process";
import { node, root } from "./setup.mjs";

node("scripts/build.mjs");
const { status } = spawnSync(process.execPath, ["dist/src/cli/main.js", "bench", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
