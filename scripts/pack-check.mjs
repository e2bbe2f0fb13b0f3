// Packs the package, installs the tarball into an empty project, and runs the README's first example there, from
// JavaScript and, types checked, from TypeScript. Needs the npm registry for the dependencies.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "manabi-pack-"));
const run = (command, args, cwd = project) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

try {
  const [{ filename, files, size }] = JSON.parse(
    run("npm", ["pack", "--json", "--silent", "--pack-destination", project], root),
  );
  const strange = files
    .map((f) => f.path)
    .filter((p) => !/^(dist\/(src|recipes|browser)\/|README|CHANGELOG|LICENSE|package\.json)/.test(p));
  if (strange.length) throw new Error(`files that do not belong into the package: ${strange.join(", ")}`);
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const hook of ["preinstall", "install", "postinstall"])
    if (scripts[hook]) throw new Error(`the package has a ${hook} script`);

  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  run("npm", ["install", "--silent", "--ignore-scripts", join(project, filename)]);

  const example = /^```ts\n(.*?)^```/ms.exec(readFileSync(join(root, "README.md"), "utf8"))?.[1];
  if (!example) throw new Error("README.md has no ts block");
  writeFileSync(join(project, "example.ts"), example);
  const options = {
    module: "nodenext",
    target: "es2023",
    strict: true,
    skipLibCheck: false,
    outDir: "out",
    types: [],
    lib: ["es2023", "dom"],
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["example.ts"] }));
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."]);
  // Without types the example is plain JavaScript: what the compiler wrote is what a user would write.
  console.log(run(process.execPath, [join(project, "out", "example.js")]).trim());
  console.log(run(join(project, "node_modules/.bin/manabi"), ["--help"]).split("\n")[0]);
  console.log(
    `pack: ${(size / 1024).toFixed(0)} KiB in ${files.length} files, installs and runs on Node ${process.version}`,
  );
} finally {
  rmSync(project, { recursive: true, force: true });
}
