// npm run studio [-- --port 4173] [--host [address]] [--build]
// Fetches MNIST if it is not in the cache, builds the studio, and serves it until Ctrl-C.
//   --build  writes studio/dist for any static server, and ends
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, exit } from "node:process";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { node, root } from "./setup.mjs";

const usage = "npm run studio -- [--port <number>] [--host [<address>]] [--build]";
/** `--host` alone means every address of this machine. */
const words = argv.slice(2).flatMap((word, i, all) => {
  const alone = word === "--host" && (all[i + 1] ?? "--").startsWith("--");
  return alone ? ["--host", "0.0.0.0"] : [word];
});
let options;
try {
  ({ values: options } = parseArgs({
    args: words,
    options: { port: { type: "string", default: "4173" }, host: { type: "string" }, build: { type: "boolean" } },
  }));
} catch (error) {
  console.error(`${error.message}\nusage: ${usage}`);
  exit(2);
}
const port = Number(options.port);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  console.error(`--port is "${options.port}"; give a number from 0 to 65535`);
  exit(2);
}

node("scripts/build.mjs");
await provideImages();
const { build, preview } = await import("vite");
const configFile = join(root, "studio/vite.config.mjs");
await build({ configFile, logLevel: "warn" });
if (options.build) {
  console.log("Built studio/dist: copy it to any static server. For threads, let that send the headers");
  console.log("  Cross-Origin-Opener-Policy: same-origin");
  console.log("  Cross-Origin-Embedder-Policy: require-corp");
  exit(0);
}
const server = await preview({ configFile, preview: { port, host: options.host } });
console.log("Manabi Studio is ready (Ctrl-C ends it):");
server.printUrls();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.close().then(() => exit(0)));

/** Puts MNIST where the build takes it from, gzipped as it is published. Without it the page says what to do. */
async function provideImages() {
  const folder = join(root, "studio/public/data/mnist");
  const { acquire } = await import("../dist/src/data/sources.js");
  const { mnistManifest } = await import("../dist/src/data/mnist.js");
  if (mnistManifest.files.every(({ name }) => existsSync(join(folder, `${name}.gz`)))) return;
  try {
    let shown = "";
    const onProgress = ({ what }) => {
      if (what !== shown) console.log(`fetching ${what} ...`);
      shown = what;
    };
    const cache = await acquire(mnistManifest, { onProgress });
    mkdirSync(folder, { recursive: true });
    for (const { name } of mnistManifest.files) {
      const path = join(folder, `${name}.gz`);
      writeFileSync(`${path}.part`, gzipSync(readFileSync(join(cache, name))));
      renameSync(`${path}.part`, path);
    }
  } catch (error) {
    console.error(`${error.message}\nThe studio is served without the images; the page tells what to do.`);
  }
}
