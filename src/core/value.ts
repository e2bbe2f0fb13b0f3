import type { DType, HostArray, TypedArray } from "./dtype.ts";
import { ManabiError } from "./errors.ts";
import type { Shape } from "./shape.ts";

/** Dense row-major values in the memory of a device. They are freed when nothing holds this object any more. */
export interface DeviceArray {
  /** The backend whose programs take it. */
  readonly backend: string;
  readonly dtype: DType;
  readonly length: number;
  /** Bytes of these values in host memory. */
  readonly byteLength: number;
  /** A copy in host memory, once the device has computed it. Rejects where the device could not. */
  read(): Promise<TypedArray>;
  /** The same values in memory of their own. */
  slice(): DeviceArray;
}

/** What programs take and give: values in host memory, or in that of a device. */
export type Value = TypedArray | DeviceArray;

export const isOnHost = (value: Value): value is TypedArray => ArrayBuffer.isView(value);

/** Values that are read at once; those on a device cannot be. */
export function readNow(value: Value, cure: string): TypedArray {
  if (isOnHost(value)) return value;
  throw new ManabiError(`values on ${value.backend} are read asynchronously: ${cure}`);
}

/** The values in host memory: the array itself where it lies there. */
export const readValue = async (value: Value): Promise<TypedArray> => (isOnHost(value) ? value : value.read());

/** The same as host arrays: `specs` tell shapes and dtypes. */
export const readValues = (
  specs: readonly { readonly shape: Shape; readonly dtype: DType }[],
  values: readonly Value[],
): Promise<HostArray[]> =>
  Promise.all(values.map(async (v, i) => ({ shape: specs[i].shape, dtype: specs[i].dtype, data: await readValue(v) })));

/** The inputs of a program that runs in host memory. */
export function hostInputs(backend: string, inputs: readonly Value[]): readonly TypedArray[] {
  const foreign = inputs.find((value) => !isOnHost(value));
  if (foreign === undefined) return inputs as readonly TypedArray[];
  throw new ManabiError(
    `backend ${backend} cannot use values that lie on ${(foreign as DeviceArray).backend}; bring them to host memory ` +
      "first, while that backend is set: await module.toHost() moves a model, fromHost(await tensor.host()) copies a tensor",
  );
}
