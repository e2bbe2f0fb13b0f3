/** What the conformance tests use of `node:test`: tests are collected here, and run when the driver asks. */
interface Options {
  readonly skip?: string | boolean;
}
type Body = () => void | Promise<void>;

interface PageTest {
  readonly name: string;
  readonly skip: string | boolean;
  readonly body: Body;
}

const tests: PageTest[] = [];
const around: { readonly title: string; readonly skip: string | boolean }[] = [];

export function describe(title: string, ...rest: readonly [() => void] | readonly [Options, () => void]): void {
  const [options, body] = rest.length === 2 ? rest : [{}, rest[0]];
  around.push({ title, skip: options.skip ?? false });
  try {
    body();
  } finally {
    around.pop();
  }
}

export function test(name: string, ...rest: readonly [Body] | readonly [Options, Body]): void {
  const [options, body] = rest.length === 2 ? rest : [{}, rest[0]];
  const skip = around.reduce<string | boolean>((found, suite) => found || suite.skip, options.skip ?? false);
  tests.push({ name: [...around.map(({ title }) => title), name].join(": "), skip, body });
}

/** Tests of the page in order, without what they do. */
export const list = (): { name: string; skip: string | boolean }[] => tests.map(({ name, skip }) => ({ name, skip }));

/** Runs a test; returns what went wrong, or null. */
export async function run(index: number): Promise<string | null> {
  try {
    await tests[index].body();
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  }
}
