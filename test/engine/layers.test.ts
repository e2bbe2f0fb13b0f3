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
  ["nn", "data", "io", "superpixels"],
  ["optim"],
  ["index.ts"], // the entry point "manabi", which models see as users do
  ["models", "onnx", "browser.ts"],
  ["train"],
  ["explain"],
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

/** The files that a specifier of this package's own names; none for a module of Node or another package. */
function targets(file: string, specifier: string): string[] {
  const [, platform] = /^#platform\/(.*)$/.exec(specifier) ?? [];
  if (platform) return ["node", "browser"].map((name) => `src/${platform}.${name}.ts`);
  return specifier.startsWith(".") ? [relative(root, join(root, file, "..", specifier))] : [];
}

/** The layer that a file belongs to. */
const layerOf = (file: string): string => /^(?:src\/)?([^/]+)/.exec(file)?.[1] ?? file;

test("imports go downward", () => {
  const wrong: string[] = [];
  for (const file of sources("src")) {
    const from = layerOf(file);
    assert.ok(height.has(from), `${file}: src/${from} is in no layer; add it to the list of this test`);
    for (const specifier of imports(file)) {
      if (specifier === "manabi" || specifier.startsWith("manabi/")) wrong.push(`${file}: imports the package itself`);
      for (const to of targets(file, specifier).map(layerOf))
        if (to !== from && (height.get(to) ?? layers.length) >= (height.get(from) ?? 0))
          wrong.push(`${file}: ${from} may not import ${to} (${specifier})`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("no file imports itself in a circle", () => {
  const files = new Set(sources("src"));
  const edges = new Map(
    [...files].map((f) => [f, imports(f).flatMap((s) => targets(f, s).filter((to) => files.has(to)))]),
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

/** Files of a folder beside `src` that import anything but the public entry points, what is `allowed`, and each other. */
function foreignImports(folder: string, allowed: RegExp): string[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  const entries = new Set(Object.keys(exports).map((key) => key.replace(/^\./, "manabi")));
  const inside = (file: string, specifier: string) =>
    targets(file, specifier).some((to) => to.startsWith(`${folder}/`));
  return sources(folder).flatMap((file) =>
    imports(file)
      .filter((s) => !entries.has(s) && !allowed.test(s) && !inside(file, s))
      .map((s) => `${file}: ${s}`),
  );
}

test("recipes import public entry points and the forest that one of them explains only", () =>
  assert.deepEqual(foreignImports("recipes", /^node:|^ml-random-forest$/), []));

test("the studio imports public entry points and what draws its curves only", () =>
  assert.deepEqual(foreignImports("studio/src", /^d3-(array|scale|shape)$/), []));
