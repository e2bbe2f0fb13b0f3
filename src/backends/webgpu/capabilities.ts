import type { MatrixUnit, SubgroupSizes, Workgroups } from "./wgsl/shader.ts";

/** The feature of subgroup matrices, which browsers and Dawn have behind a flag. */
export const matrixFeature = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** The sizes of an adapter's subgroups; null where shaders cannot use them, or cannot tell one from another. */
export function subgroupSizes({ wgslLanguageFeatures }: GPU, { features, info }: GPUAdapter): SubgroupSizes | null {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  if (!features.has("subgroups") || !wgslLanguageFeatures.has("subgroup_id") || !least || !most) return null;
  return { least, most };
}

/** What `adapter.info` lists where there are subgroup matrices. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The matrices that an adapter multiplies with sums in f32, in its order; of f16 only where shaders have f16. */
export function matrixUnits({ features, info }: GPUAdapter): MatrixUnit[] {
  if (!features.has(matrixFeature)) return [];
  const { subgroupMatrixConfigs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  return [...subgroupMatrixConfigs].flatMap(({ componentType, resultComponentType, M, N, K }): MatrixUnit[] => {
    const component = componentType === "f16" || componentType === "f32" ? componentType : null;
    if (!component || resultComponentType !== "f32") return [];
    if (component === "f16" && !features.has("shader-f16")) return [];
    return [{ component, m: M, n: N, k: K }];
  });
}

/** Those of the matrices that the device compiles: the feature is an experiment, whose WGSL has changed before. */
export async function compiled(
  device: GPUDevice,
  units: readonly MatrixUnit[],
  threads: number,
): Promise<MatrixUnit[]> {
  const tried = units.map(async (unit) => {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: "a trial of subgroup matrices", code: trial(unit, threads) });
    const error = device.popErrorScope();
    const pipeline = device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    const works = await pipeline.then(
      () => true,
      () => false,
    );
    return works && (await error) === null ? [unit] : [];
  });
  return (await Promise.all(tried)).flat();
}

/** What shaders make use of, for people. */
export function showWorkgroups({ subgroups, matrices }: Workgroups): string {
  if (!subgroups) return "no subgroups";
  const { least, most } = subgroups;
  const sizes = least === most ? most : `${least} to ${most}`;
  const units = matrices.map(({ component, m, n, k }) => `${component} ${m}x${n}x${k}`);
  return `subgroups of ${sizes}, ${units.length ? `matrices ${units.join(", ")}` : "no subgroup matrices"}`;
}

const trial = ({ component, m, n, k }: MatrixUnit, threads: number): string =>
  `${component === "f16" ? "enable f16;\n" : ""}enable chromium_experimental_subgroup_matrix;
var<workgroup> x: array<${component}, ${m * k}>;
var<workgroup> y: array<${component}, ${k * n}>;
var<workgroup> z: array<f32, ${m * n}>;
@compute @workgroup_size(${threads})
fn main() {
  let a = subgroupMatrixLoad<subgroup_matrix_left<${component}, ${k}, ${m}>, col_major>(&x, 0u, ${m}u);
  let b = subgroupMatrixLoad<subgroup_matrix_right<${component}, ${n}, ${k}>, row_major>(&y, 0u, ${n}u);
  var c: subgroup_matrix_result<f32, ${n}, ${m}>;
  c = subgroupMatrixMultiplyAccumulate(a, b, c);
  subgroupMatrixStore<row_major>(&z, 0u, c, ${n}u);
}
`;
