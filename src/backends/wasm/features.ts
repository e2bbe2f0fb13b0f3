import { ModuleBuilder, op } from "./assembler.ts";

const probe = new ModuleBuilder({ initial: 1, maximum: 1, shared: false });
probe.function(null, ["v128"], "v128", (_, x) => op("f32x4.relaxed_madd", x, x, x));

/** Whether vectors are multiplied and added in one instruction (relaxed SIMD: Node 22, browsers of 2024). */
export const hasRelaxedSimd: boolean = WebAssembly.validate(probe.encode());
