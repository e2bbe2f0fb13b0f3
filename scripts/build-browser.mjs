// Bundles dist/src for pages without a bundler: dist/browser/manabi.js, with its source map. Fails where the bundle is
// larger than a page should have to load.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exit } from "node:process";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { root } from "./setup.mjs";

/** Minified and gzipped. */
const mostKilobytes = 150;

const outDir = join(root, "dist/browser");
const [{ output }] = await build({
  root,
  configFile: false,
  logLevel: "warn",
  build: {
    outDir,
    target: "es2022",
    minify: true,
    sourcemap: true,
    copyPublicDir: false,
    lib: { entry: join(root, "dist/src/browser.js"), formats: ["es"], fileName: () => "manabi.js" },
    // Vite leaves white space in libraries, for bundlers that read comments; this file is for pages.
    rolldownOptions: { output: { minify: true } },
  },
});

const code = readFileSync(join(outDir, "manabi.js"));
const kilobytes = (bytes) => (bytes / 1000).toFixed(1);
const packed = gzipSync(code, { level: 9 }).length;
const foreign = output.flatMap(({ imports = [], dynamicImports = [] }) => [...imports, ...dynamicImports]);
// On stderr: the output of npm pack --json, which runs this, is for programs.
console.error(`browser bundle: ${kilobytes(code.length)} kB minified, ${kilobytes(packed)} kB gzipped`);
if (foreign.length) console.error(`the browser bundle is not self-contained, it imports ${foreign.join(", ")}`);
if (packed > mostKilobytes * 1000) console.error(`it is larger than ${mostKilobytes} kB gzipped`);
exit(foreign.length || packed > mostKilobytes * 1000 ? 1 : 0);
