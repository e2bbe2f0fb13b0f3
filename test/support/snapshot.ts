import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./paths.ts";

const updating = process.argv.includes("--update");

/**
 * Compares `text` with a file of the repository; with `--update` writes it instead. A test that calls this can be run
 * on its own: `npm test -- --update <part of its path>`.
 */
export function assertSnapshot(path: string, text: string): void {
  const file = join(root, path);
  const content = `${text.trimEnd()}\n`;
  if (updating) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return;
  }
  const cure = "if the change is wanted, write it anew with: npm test -- --update";
  assert.ok(existsSync(file), `${path} is missing; ${cure}`);
  assert.equal(content, readFileSync(file, "utf8"), `${path} is stale; ${cure}`);
}
