/** What a bundler makes of the package for a browser. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build, type Rolldown } from "vite";
import { root } from "../support/paths.ts";

interface Bundle {
  readonly code: string;
  /** Files of which something was kept, from the root of the repository. */
  readonly modules: readonly string[];
  /** What stays outside of the bundle. */
  readonly foreign: readonly string[];
}

/** Bundles a page's module as Vite does without a configuration. */
async function bundle(code: string): Promise<Bundle> {
  const name = "\0page.js";
  const built = await build({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [
      { name: "page", resolveId: (id) => (id === "page" ? name : null), load: (id) => (id === name ? code : null) },
    ],
    build: { write: false, minify: false, modulePreload: false, rolldownOptions: { input: "page" } },
  });
  const chunks = (built as Rolldown.RolldownOutput).output.filter((o) => o.type === "chunk");
  const kept = chunks.flatMap((c) => Object.entries(c.modules).filter(([, { renderedLength }]) => renderedLength));
  const modules = kept.map(([id]) => relative(root, id)).filter((id) => id.startsWith("dist/"));
  const own = new Set(chunks.map((c) => c.fileName));
  const foreign = chunks.flatMap((c) => [...c.imports, ...c.dynamicImports]).filter((name) => !own.has(name));
  return { foreign, code: chunks.map((c) => c.code).join("\n"), modules };
}

const skip = existsSync(join(root, "dist/src/index.js")) ? false : "the package is not built";

describe("a bundle for the browser", { skip }, () => {
  test("of one function leaves out modules, optimizers, data, models and the other platform", async () => {
    const { modules, foreign } = await bundle(
      'import { tensor } from "manabi"; console.log(tensor([1, 2]).dataSync());',
    );
    assert.ok(modules.includes("dist/src/ops/tensor.js"));
    const unwanted = modules.filter((m) =>
      /\/(nn|optim|data|io|models|train|native)\/|src\/ops\/(loss|conv|pool|norm)/.test(m),
    );
    assert.deepEqual(unwanted, []);
    assert.deepEqual(foreign, []);
  });

  test("of everything asks for nothing of Node", async () => {
    const entries = ["manabi", "manabi/nn", "manabi/optim", "manabi/data", "manabi/io", "manabi/models"];
    const lines = entries.map((name, i) => `import * as m${i} from "${name}"; console.log(m${i});`);
    const { code, modules, foreign } = await bundle(lines.join("\n"));
    assert.ok(modules.includes("dist/src/models/resnet.js") && modules.includes("dist/src/data/loader.js"));
    assert.deepEqual(
      modules.filter((m) => /\.node\.js$|\/native\//.test(m)),
      [],
    );
    assert.deepEqual(foreign, []);
    assert.doesNotMatch(code, /\bprocess\.(?!env|getBuiltinModule)|\bBuffer\.|__vite-browser-external/);
  });

  test("of what only Node has is refused while bundling", async () => {
    await assert.rejects(
      bundle('import { recipe } from "manabi/train"; console.log(recipe);'),
      /"recipe" is not exported by "dist\/src\/train\/browser.js"/,
    );
  });
});

describe("the two platforms", () => {
  let pairs: string[];
  before(() => {
    const here = import.meta.url.endsWith(".js") ? "js" : "ts";
    const folder = new URL("../../src/", import.meta.url);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    pairs = files.filter((f) => f.endsWith(`.browser.${here}`)).map((f) => new URL(f, folder).href);
  });

  test("export the same names", async () => {
    assert.ok(pairs.length >= 3);
    // What a browser file reads of the browser when it is loaded.
    Object.defineProperty(globalThis, "navigator", { value: { hardwareConcurrency: 2 }, configurable: true });
    for (const browser of pairs) {
      const node = browser.replace(".browser.", ".node.");
      const names = async (url: string) => Object.keys(await import(pathToFileURL(new URL(url).pathname).href)).sort();
      assert.deepEqual(await names(browser), await names(node), browser);
    }
  });
});
