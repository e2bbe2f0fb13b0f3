import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManabiError } from "../../core/errors.ts";
import { cachedLibrary } from "./library-cache.ts";

/** A C compiler of this machine. */
export interface Toolchain {
  readonly command: string;
  /** First line of `--version`. */
  readonly version: string;
  /** What it compiles for, as -march names it. */
  readonly processor: string;
  readonly flags: readonly string[];
}

const flagsFor = (processor: string, symbols: readonly string[]): readonly string[] => [
  ...symbols.map((name) => `-D${name}`),
  ...["-std=gnu11", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", `-march=${processor}`, "-O3"],
  ...["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fwrapv", "-w"],
];
const libraries = ["-lm", "-ldl"];

let processor = "native";
let symbols: readonly string[] = [];
let found: Toolchain | null | undefined;
let announce: (what: string) => void = () => {};

/** Calls `listener` each time before something is compiled, since that may take seconds. */
export const onCompile = (listener: (what: string) => void): void => {
  announce = listener;
};

/**
 * What to compile for, as the compiler's -march names it; "native" is the processor of this machine. `defined` are
 * preprocessor symbols for the run time: tests have it emulate instructions that the machine lacks.
 */
export function setTarget(name: string, defined: readonly string[] = []): void {
  const command = findToolchain()?.command;
  if (command && spawnSync(command, [`-march=${name}`, "-x", "c", "-E", "-"], { input: "" }).status !== 0)
    throw new ManabiError(
      `processor "${name}" is not known to ${command}; take a name that its -march knows, such as x86-64-v3 (AVX2) or native`,
    );
  processor = name;
  symbols = defined;
  found = undefined;
}

/** The first of cc, gcc and clang that compiles here, or null. */
export function findToolchain(): Toolchain | null {
  if (found !== undefined) return found;
  found = null;
  for (const command of ["cc", "gcc", "clang"]) {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (status !== 0) continue;
    found = { command, version: stdout.split("\n")[0].trim(), processor, flags: flagsFor(processor, symbols) };
    break;
  }
  return found;
}

const runtimeFolder = fileURLToPath(new URL("./runtime/", import.meta.url));
const kernelHeader = readFileSync(new URL("./kernel.h", import.meta.url), "utf8");

/** What code compiled with -march=native depends on besides its text. */
function machine(toolchain: Toolchain): string {
  let features = "";
  try {
    features = /^(flags|Features)\s*:.*$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[0] ?? "";
  } catch {
    // Not Linux: the model has to do.
  }
  return [
    toolchain.command,
    toolchain.version,
    toolchain.flags.join(" "),
    process.arch,
    cpus()[0]?.model,
    features,
  ].join("\n");
}

/** Compiles the run time unless that has been done; returns the library's path. */
export function buildRuntime(toolchain: Toolchain): string {
  const names = readdirSync(runtimeFolder).sort();
  const sources = names.map((name) => readFileSync(join(runtimeFolder, name), "utf8"));
  const units = names.filter((name) => name.endsWith(".c")).map((name) => join(runtimeFolder, name));
  return cached(toolchain, "runtime", sources.join("\n"), (output, scratch) => {
    // Units are compiled side by side.
    const objects = units.map((_, i) => join(scratch, `${i}.o`));
    const compile = units.map((unit, i) => [toolchain.command, ...toolchain.flags, "-c", unit, "-o", objects[i]]);
    run(compile);
    run([[toolchain.command, ...toolchain.flags, ...objects, "-o", output, ...libraries]]);
  });
}

const peaksFile = fileURLToPath(new URL("./machine/peaks.c", import.meta.url));

/** Compiles what measures the peaks of the machine; returns the library's path. */
export function buildPeaks(toolchain: Toolchain): string {
  return cached(toolchain, "machine", readFileSync(peaksFile, "utf8"), (output) =>
    run([[toolchain.command, ...toolchain.flags, peaksFile, "-o", output, ...libraries]]),
  );
}

/** Compiles kernels `k0`, `k1`, ... with these bodies; returns the library's path. */
export function buildKernels(toolchain: Toolchain, bodies: readonly string[]): string {
  const functions = bodies.map(
    (body, i) =>
      `__attribute__((visibility("default"))) void k${i}(void *const *b, const int64_t *p, int64_t begin, int64_t end) {\n${body}\n}\n`,
  );
  return cached(toolchain, "kernels", kernelHeader + functions.join("\n"), (output, scratch) => {
    // Two halves side by side.
    const half = Math.ceil(functions.length / 2);
    const parts = [functions.slice(0, half), functions.slice(half)].filter((part) => part.length);
    const units = parts.map((part, i) => {
      const file = join(scratch, `${i}.c`);
      writeFileSync(file, `${kernelHeader}\n${part.join("\n")}`);
      return file;
    });
    if (units.length === 1) return run([[toolchain.command, ...toolchain.flags, units[0], "-o", output, ...libraries]]);
    const objects = units.map((file) => file.replace(/c$/, "o"));
    run(units.map((file, i) => [toolchain.command, ...toolchain.flags, "-c", file, "-o", objects[i]]));
    run([[toolchain.command, ...toolchain.flags, ...objects, "-o", output, ...libraries]]);
  });
}

/** A library from the cache, compiled if need be. */
function cached(
  toolchain: Toolchain,
  kind: string,
  source: string,
  build: (output: string, scratch: string) => void,
): string {
  return cachedLibrary(kind, `${machine(toolchain)}\0${source}`, (output, scratch) => {
    announce(kind);
    build(output, scratch);
  });
}

/** Runs commands at the same time; throws with what the first failing one printed. */
function run(commands: readonly (readonly string[])[]): void {
  const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const script = commands.map((words) => `${words.map(quote).join(" ")} &\npids="$pids $!"`).join("\n");
  const { status, stderr, error } = spawnSync(
    "/bin/sh",
    ["-c", `${script}\nfor p in $pids; do wait $p || exit 1; done`],
    {
      encoding: "utf8",
    },
  );
  if (error) throw error;
  if (status !== 0)
    throw new ManabiError(
      `native: ${commands[0][0]} failed on generated code:\n${stderr.slice(0, 2000)}\n` +
        "Please report this; until then choose another backend, for example --backend reference",
    );
}
