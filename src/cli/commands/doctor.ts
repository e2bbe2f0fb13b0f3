import { readFile, statfs } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";
import { Command } from "commander";
import { backendStatus, prepareBackend } from "../../backends/select.ts";
import { cacheRoot } from "../../core/cache.ts";
import { readEnvironment } from "../../train/environment.ts";
import { announceCompiling } from "../compiling.ts";
import { folderSize } from "../folder-size.ts";
import { outputOf, printJson, type Shell, showBytes } from "../shell.ts";

/** SIMD extensions that the generated code profits from, as the kernel names them. */
const interesting = [
  "sse4_2",
  "avx",
  "avx2",
  "fma",
  "avx512f",
  "avx512_bf16",
  "amx_tile",
  "amx_bf16",
  "asimd",
  "asimddp",
  "sve",
];

/** `manabi doctor`: what works on this machine, and why something does not. */
export const doctorCommand = (shell: Shell): Command =>
  new Command("doctor")
    .description("tell what works on this machine, and why something does not")
    .option("--json", "print JSON")
    .action(async ({ json }: { readonly json?: boolean }) => {
      const output = outputOf(shell, { json });
      announceCompiling(output);
      const findings = await examine();
      if (json) return printJson(shell, findings);
      const { backends, environment, cpu, cache, disk } = findings;
      output.info(
        [
          ...backends.map(({ name, works, detail }) => `${works ? "✔" : "✘"} ${name.padEnd(10)} ${detail}`),
          "",
          `manabi      ${environment.manabi}`,
          `Node.js     ${environment.node}`,
          `system      ${environment.os}`,
          `processor   ${cpu.model}, ${cpu.cores} cores, ${cpu.available} for this process`,
          `SIMD        ${cpu.features === null ? "cannot be told on this system" : cpu.features.join(" ") || "none of note"}`,
          `memory      ${environment.memoryGiB} GiB`,
          `cache       ${cache.folder} (${showBytes(cache.bytes)})`,
          `disk        ${disk === null ? "free space cannot be told" : `${showBytes(disk)} free where the cache is`}`,
        ].join("\n"),
      );
      const { name } = backends.find(({ works }) => works) ?? { name: "none" };
      output.info(`\nThe backend "auto" is ${name} here.`);
    });

/** Everything the doctor looks at. */
async function examine() {
  const folder = cacheRoot();
  const environment = await readEnvironment();
  await prepareBackend("webgpu");
  return {
    backends: backendStatus(),
    environment,
    cpu: {
      model: environment.cpu,
      cores: cpus().length,
      available: availableParallelism(),
      features: await simdFeatures(),
    },
    cache: { folder, bytes: await folderSize(folder) },
    disk: await freeBytes(folder),
  };
}

/** The interesting ones of this processor's features, or null where the system does not list them. */
async function simdFeatures(): Promise<string[] | null> {
  const info = await readFile("/proc/cpuinfo", "utf8").catch(() => null);
  const line = info === null ? null : /^(?:flags|Features)\s*:(.*)$/m.exec(info);
  if (!line) return null;
  const found = new Set(line[1].trim().split(/\s+/));
  return interesting.filter((feature) => found.has(feature));
}

/** Free bytes on the disk of the folder, or of its nearest parent that exists. */
async function freeBytes(folder: string): Promise<number | null> {
  const info = await statfs(folder).catch(() => null);
  if (info) return info.bavail * info.bsize;
  return dirname(folder) === folder ? null : freeBytes(dirname(folder));
}
