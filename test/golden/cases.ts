/** Runs golden cases on every backend in both precisions, and compares outputs, gradients and updated buffers. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { arrayType, type HostArray, isFloat, type TypedArray } from "../../src/core/dtype.ts";
import { valueAndGrad } from "../../src/ops/grad.ts";
import { fromHost, type Tensor } from "../../src/ops/tensor.ts";
import { evaluateNow } from "../support/evaluate.ts";
import { readJson, readTensors, relativeError } from "./fixture.ts";

/** One entry of <family>.json; `Attrs` are the options of the call. */
export interface GoldenCase<Attrs = never> {
  readonly name: string;
  readonly kind: string;
  readonly attrs: Attrs;
  readonly inputs: readonly string[];
  /** Inputs and parameters that have an expected gradient. */
  readonly grads: readonly string[];
  readonly outputs: number;
}

export type Inputs = Readonly<Record<string, Tensor>>;

/** Largest `relativeError` allowed. */
export const tolerance = { f32: 1e-5, f64: 1e-10 } as const;
export type Precision = keyof typeof tolerance;

/** A value that may not be computed yet, and what it must be. */
export interface Claim {
  readonly what: string;
  readonly got: Tensor;
  readonly want: HostArray;
}

/** The stored tensors of one case, in one precision. */
export class Stored {
  readonly #fixture: ReadonlyMap<string, HostArray>;
  readonly #prefix: string;
  readonly precision: Precision;

  constructor(fixture: ReadonlyMap<string, HostArray>, name: string, precision: Precision) {
    this.#fixture = fixture;
    this.#prefix = `${name}/`;
    this.precision = precision;
  }
  find(key: string): HostArray | undefined {
    return this.#fixture.get(this.#prefix + key);
  }
  /** What a value must be. */
  host(key: string): HostArray {
    const found = this.find(key);
    assert.ok(found, `the fixture has no ${this.#prefix}${key}`);
    return found;
  }
  /** A value for the engine: floats in the precision under test. */
  tensor(key: string): Tensor {
    const { data, shape, dtype } = this.host(key);
    if (!isFloat(dtype)) return fromHost({ data, shape, dtype });
    return fromHost({ data: arrayType(this.precision).from(data), shape, dtype: this.precision });
  }
  inputs(names: readonly string[]): Inputs {
    return Object.fromEntries(names.map((name) => [name, this.tensor(`in/${name}`)]));
  }
}

/** Claims about the outputs of `call` and about the gradients of sum_i <out_i, ct_i> by the leaves named in `grads`. */
export function claimsOf(
  c: GoldenCase<unknown>,
  stored: Stored,
  leaves: readonly (readonly [name: string, value: Tensor])[],
  call: () => Tensor | readonly Tensor[],
): Claim[] {
  let outputs: readonly Tensor[] = [];
  const run = () => {
    const result = call();
    outputs = Array.isArray(result) ? result : [result];
    assert.equal(outputs.length, c.outputs, "number of outputs");
  };
  let gradients: ReadonlyMap<string, Tensor> = new Map();
  if (c.grads.length) {
    const known = new Map(leaves);
    const target = { namedParameters: () => c.grads.map((name) => [name, known.get(name) as Tensor] as const) };
    [, gradients] = valueAndGrad(target, () => {
      run();
      return outputs
        .flatMap((out, i) => (stored.find(`ct/${i}`) ? [out.mul(stored.tensor(`ct/${i}`)).sum()] : []))
        .reduce((a, b) => a.add(b));
    });
  } else run();
  return [
    ...outputs.map((got, i) => ({ what: `output ${i}`, got, want: stored.host(`out/${i}`) })),
    ...[...gradients].map(([name, got]) => ({ what: `gradient by ${name}`, got, want: stored.host(`grad/${name}`) })),
  ];
}

export function check({ what, got, want }: Claim, precision: Precision): void {
  assert.deepEqual([...got.shape], [...want.shape], `shape of ${what}`);
  assert.equal(got.dtype, isFloat(want.dtype) ? precision : want.dtype, `dtype of ${what}`);
  const [values] = evaluateNow([got.node]);
  if (!isFloat(want.dtype)) assert.deepEqual([...values], [...want.data], what);
  else {
    const error = relativeError(values, want.data);
    const limit = tolerance[precision];
    assert.ok(error <= limit, `${what}: relative error ${error.toExponential(2)} > ${limit}${show(values, want.data)}`);
  }
}

function show(got: TypedArray, want: TypedArray): string {
  const line = (values: TypedArray) => [...values.slice(0, 12)].map((v) => Number(v.toPrecision(7))).join(" ");
  return `\n  got  ${line(got)}\n  want ${line(want)}`;
}

/** Tests every case of a family: `build` makes the claims of a case, `stored` are its tensors. */
export async function testFamily<C extends GoldenCase<unknown>>(
  family: string,
  build: (c: C, stored: Stored) => Claim[],
): Promise<void> {
  const cases = await readJson<C[]>(`${family}.json`);
  const fixture = await readTensors(`${family}.safetensors`);
  for (const { name: backend, works } of backendStatus())
    for (const precision of ["f64", "f32"] as const)
      describe(`${family}, ${backend}, ${precision}`, { skip: !works }, () => {
        const claims = new Map<C, Claim[] | Error>();
        // All cases are evaluated as one program: compiling one by one takes minutes.
        before(() => {
          setBackend(backend);
          for (const c of cases)
            try {
              claims.set(c, build(c, new Stored(fixture, c.name, precision)));
            } catch (error) {
              claims.set(c, error as Error);
            }
          const all = [...claims.values()].flatMap((list) => (list instanceof Error ? [] : list));
          try {
            evaluateNow(all.map(({ got }) => got.node));
          } catch {
            // Each test evaluates what it claims, so the case at fault shows itself.
          }
        });
        for (const c of cases)
          test(c.name, () => {
            const list = claims.get(c) as Claim[] | Error;
            if (list instanceof Error) throw list;
            for (const claim of list) check(claim, precision);
          });
      });
}

/** Claims of a plain call through `table`; a kind that the table lacks is an error. */
export function callBy(table: Readonly<Record<string, Call>>): (c: GoldenCase, stored: Stored) => Claim[] {
  return (c, stored) => {
    const call = table[c.kind];
    assert.ok(call, `no call for kind ${c.kind}; add it to the table`);
    const inputs = stored.inputs(c.inputs);
    return claimsOf(c, stored, Object.entries(inputs), () => call(inputs, c.attrs));
  };
}

export type Call = (inputs: Inputs, attrs: never) => Tensor | readonly Tensor[];
