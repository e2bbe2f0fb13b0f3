// Compiles to dist/: tsc, then what is no TypeScript: the C sources that the native backend compiles on the user's
// machine, and the scripts of the benchmark's peers.
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { node, root, setup } from "./setup.mjs";

setup();
node("node_modules/typescript/bin/tsc", "-p", ".");

const native = "src/backends/native";
cpSync(join(root, native, "kernel.h"), join(root, "dist", native, "kernel.h"));
const isCode = (file) => /\.(ts|js)$/.test(file);
for (const folder of [`${native}/runtime`, `${native}/machine`, "src/bench/peers"]) {
  const [from, to] = [join(root, folder), join(root, "dist", folder)];
  if (existsSync(to))
    for (const file of readdirSync(to)) if (!isCode(file)) rmSync(join(to, file), { recursive: true });
  cpSync(from, to, { recursive: true, filter: (file) => !file.endsWith(".ts") });
}

// What a deleted or renamed source has left behind would still be packed, or run as a test.
for (const folder of ["src", "recipes", "test", "bench", "studio"]) {
  const out = join(root, "dist", folder);
  if (!existsSync(out)) continue;
  for (const file of readdirSync(out, { recursive: true })) {
    const source = /^(.*)(\.d\.ts|\.js)$/.exec(file)?.[1];
    if (source && !existsSync(join(root, folder, `${source}.ts`))) rmSync(join(out, file));
  }
}
