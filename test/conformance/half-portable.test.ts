/** The conversions of kernel.h as every kind of processor compiles them: with and without vectors and F16C. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findToolchain } from "../../src/backends/native/toolchain.ts";
import { narrow, widen } from "../../src/core/half.ts";
import { root } from "../support/paths.ts";

/** Odd, so that all bits of the mantissa vary. */
const stride = 40009;

/** Writes, for f32 patterns 0, stride, .., the patterns of the nearest f16 and bf16, then those values as f32. */
const program = (header: string): string => `${header}
#include <stdio.h>
int main(void) {
  for (uint64_t u = 0; u < 1ull << 32; u += ${stride}) {
    float x = mnb_bits_f32((int32_t)(uint32_t)u);
    uint16_t half[2] = {mnb_to_f16(x), mnb_to_bf16(x)};
    float value[2] = {mnb_from_f16(half[0]), mnb_from_bf16(half[1])};
    float round[2] = {mnb_round_f16(x), mnb_round_bf16(x)};
    fwrite(half, 2, 2, stdout);
    fwrite(value, 4, 2, stdout);
    fwrite(round, 4, 2, stdout);
  }
}`;

const machines: Record<string, readonly string[]> = {
  "this machine": ["-march=native"],
  ...(process.arch === "x64"
    ? { "SSE2 alone": ["-march=x86-64"], "AVX2 without F16C": ["-mavx2", "-mfma", "-mno-f16c"] }
    : {}),
};

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "manabi-half-"));
});
after(() => rmSync(folder, { recursive: true }));

const compilers = ["cc", "gcc", "clang"].filter((c) => spawnSync(c, ["--version"]).status === 0);

describe("16-bit floats in C", { skip: !findToolchain() }, () => {
  const count = Math.ceil(2 ** 32 / stride);
  const inputs = Uint32Array.from({ length: count }, (_, i) => i * stride);
  const floats = new Float32Array(inputs.buffer);
  const halves = (["f16", "bf16"] as const).map((dtype) => narrow(dtype, floats));
  const values = (["f16", "bf16"] as const).map((dtype, i) => widen(dtype, halves[i]));

  for (const compiler of compilers)
    for (const [name, flags] of Object.entries(machines))
      test(`${compiler}, ${name}`, () => {
        const source = join(folder, "half.c");
        const binary = join(folder, "half");
        writeFileSync(source, program(readFileSync(join(root, "src/backends/native/kernel.h"), "utf8")));
        execFileSync(compiler, ["-std=gnu11", "-O3", "-fwrapv", "-w", ...flags, source, "-o", binary, "-lm"]);
        const bytes = new Uint8Array(execFileSync(binary, { maxBuffer: 1 << 26 }));
        const view = new DataView(bytes.buffer);
        for (let i = 0; i < count; i++)
          for (const k of [0, 1]) {
            const at = 20 * i;
            const [value, round] = [view.getFloat32(at + 4 + 4 * k, true), view.getFloat32(at + 12 + 4 * k, true)];
            if (Number.isNaN(floats[i])) assert.ok(Number.isNaN(value) && Number.isNaN(round), `NaN ${inputs[i]}`);
            else {
              const half = view.getUint16(at + 2 * k, true);
              assert.ok(
                half === halves[k][i] && Object.is(value, values[k][i]) && Object.is(round, value),
                `${floats[i]} becomes ${half}, ${value}, ${round}; it must be ${halves[k][i]}, ${values[k][i]}`,
              );
            }
          }
      });
});
