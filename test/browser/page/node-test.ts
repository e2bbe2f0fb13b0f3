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
const titles: string[] = [];

export function describe(title: string, body: () => void): void {
  titles.push(title);
  try {
    body();
  } finally {
    titles.pop();
  }
}

export function test(name: string, ...rest: readonly [Body] | readonly [Options, Body]): void {
  const [options, body] = rest.length === 2 ? rest : [{}, rest[0]];
  tests.push({ name: [...titles, name].join(": "), skip: options.skip ?? false, body });
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
