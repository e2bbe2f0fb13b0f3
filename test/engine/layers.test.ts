/** Imports go down the list of layers only, files form no cycles, and recipes see the public entry points alone. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { root } from "../support/paths.ts";

/** Lowest first; folders on one line are independent of each other. */
const layers = [
  ["core"],
  ["fetch"], // what the network or a package registry brings
  ["graph"],
  ["primitives"],
  ["autodiff"],
  ["compiler"],
  ["backends"],
  ["ops"],
  ["nn", "data", "io"],
  ["optim"],
  ["index.ts"], // the entry point "manabi", which models see as users do
  ["models", "onnx"],
  ["train"],
  ["recipes", "bench"],
  ["cli"],
];

const height = new Map(layers.flatMap((folders, i) => folders.map((f) => [f, i] as const)));

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((f) => f.endsWith(".ts"))
    .map((f) => join(folder, f));

/** Specifiers of static and dynamic imports and of re-exports, type imports included. */
function imports(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const patterns = [
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"/gm,
    /\bimport\(\s*"([^"]+)"/g,
    /^import\s*"([^"]+)"/gm,
  ];
  return patterns.flatMap((p) => [...text.matchAll(p)].map(([, specifier]) => specifier));
}

const target = (file: string, specifier: string): string => relative(root, join(root, file, "..", specifier));

/** The layer that a file belongs to. */
const layerOf = (file: string): string => /^(?:src\/)?([^/]+)/.exec(file)?.[1] ?? file;

test("imports go downward", () => {
  const wrong: string[] = [];
  for (const file of sources("src")) {
    const from = layerOf(file);
    assert.ok(height.has(from), `${file}: src/${from} is in no layer; add it to the list of this test`);
    for (const specifier of imports(file)) {
      if (!specifier.startsWith(".")) {
        if (specifier === "manabi" || specifier.startsWith("manabi/"))
          wrong.push(`${file}: imports the package itself`);
        continue;
      }
      const to = layerOf(target(file, specifier));
      if (to === from) continue;
      if ((height.get(to) ?? layers.length) >= (height.get(from) ?? 0))
        wrong.push(`${file}: ${from} may not import ${to} (${specifier})`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("no file imports itself in a circle", () => {
  const files = new Set(sources("src"));
  const edges = new Map(
    [...files].map((f) => [
      f,
      imports(f).flatMap((s) => (s.startsWith(".") && files.has(target(f, s)) ? [target(f, s)] : [])),
    ]),
  );
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    const at = path.indexOf(file);
    if (at >= 0) assert.fail(`a circle of imports: ${[...path.slice(at), file].join(" -> ")}`);
    path.push(file);
    for (const next of edges.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
});

test("recipes import public entry points only", () => {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  const entries = new Set(Object.keys(exports).map((key) => key.replace(/^\./, "manabi")));
  const wrong = sources("recipes").flatMap((file) =>
    imports(file)
      .filter((s) => !entries.has(s) && !s.startsWith("node:") && !(s.startsWith("./") && !s.includes("..")))
      .map((s) => `${file}: ${s}`),
  );
  assert.deepEqual(wrong, []);
});
