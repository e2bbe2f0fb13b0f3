import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../support/paths.ts";

// Every `ts` block of the documents is compiled, types checked, and run. They import "manabi" as users do, so they are
// placed inside of the package.
const folder = join(root, "dist", `doc-blocks-${process.pid}`);

const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

const blocks = documents.flatMap((path) =>
  [...readFileSync(join(root, path), "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(([, code], i) => ({
    title: `${path}, block ${i + 1}`,
    name: `${path.replaceAll(/[^a-z0-9]+/gi, "-")}-${i + 1}`,
    code,
  })),
);

before(() => {
  mkdirSync(folder, { recursive: true });
  for (const { name, code } of blocks) writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: {
      rootDir: ".",
      outDir: "js",
      incremental: false,
      tsBuildInfoFile: null,
      declaration: false,
      noUnusedLocals: false,
    },
    include: ["*.ts"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  try {
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], { encoding: "utf8" });
  } catch (error) {
    assert.fail(`documents do not compile:\n${(error as { stdout: string }).stdout}`);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("the documents have code", () => assert.ok(blocks.length > 5));

for (const { title, name } of blocks)
  test(title, async () => {
    const file = join(folder, "js", `${name}.js`);
    assert.ok(existsSync(file));
    await promisify(execFile)(process.execPath, [file], { cwd: folder, timeout: 60_000 });
  });
