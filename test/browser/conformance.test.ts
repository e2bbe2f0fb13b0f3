/** The conformance tests in Chromium: the very files that Node runs, over the backends of the page. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { build, type Plugin } from "vite";
import { launch, serve, skipInPage } from "../support/chromium.ts";
import { root } from "../support/paths.ts";

const files = ["primitives", "functions", "random", "scan", "attention", "half"].map(
  (name) => `test/conformance/${name}`,
);
const names = [...files, "test/ops/conformance"];

/** Stands in for what there is in Node alone. */
const inPage: Plugin = {
  name: "tests in a page",
  enforce: "pre",
  resolveId(id) {
    const page = (file: string) => join(root, "test/browser/page", file);
    if (id === "node:test") return page("node-test.ts");
    if (id === "node:assert/strict") return page("assert.ts");
    if (id.endsWith("/backends-under-test.ts")) return page("backends-under-test.ts");
    // The package says that its files have no side effects; tests are nothing else.
    if (id.endsWith(".test.ts")) return { id, moduleSideEffects: true };
    return id === "tests" ? "\0tests" : null;
  },
  load(id) {
    if (id !== "\0tests") return null;
    const imports = names.map((name) => `import ${JSON.stringify(join(root, `${name}.test.ts`))};`);
    return `${imports.join("\n")}\nexport * from "node:test";`;
  },
};

declare global {
  interface Window {
    readonly tests: {
      list(): { name: string; skip: string | boolean }[];
      run(index: number): Promise<string | null>;
    };
  }
}

test("conformance in Chromium", { skip: skipInPage }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "manabi-page-tests-"));
  const [browser, site] = await Promise.all([launch(), serve(folder)]);
  try {
    await build({
      root,
      configFile: false,
      logLevel: "error",
      plugins: [inPage],
      resolve: { conditions: ["source", "browser", "module"] },
      build: {
        outDir: folder,
        target: "es2022",
        minify: false,
        modulePreload: false,
        rolldownOptions: {
          input: "tests",
          preserveEntrySignatures: "strict",
          output: { entryFileNames: "tests.js" },
        },
      },
    });
    const script = '<script type="module">import * as tests from "./tests.js"; window.tests = tests;</script>';
    await writeFile(join(folder, "index.html"), `<!doctype html><title>tests</title>${script}`);
    const page = await browser.newPage();
    page.on("pageerror", (error) => t.diagnostic(error.message));
    await page.goto(site.url);
    await page.waitForFunction(() => window.tests !== undefined, null, { timeout: 60_000 });
    const list = await page.evaluate(() => window.tests.list());
    for (const backend of ["wasm", "webgpu"])
      assert.ok(
        list.some(({ name, skip }) => !skip && name.includes(backend)),
        `${backend} is not tested in the page`,
      );
    for (const [index, { name, skip }] of list.entries())
      await t.test(name, { skip }, async () => {
        const wrong = await page.evaluate((i) => window.tests.run(i), index);
        if (wrong !== null) assert.fail(wrong);
      });
  } finally {
    await Promise.all([browser.close(), site.close(), rm(folder, { recursive: true, force: true })]);
  }
});
