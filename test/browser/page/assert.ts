/** What the conformance tests use of `node:assert/strict`. */
class AssertionError extends Error {
  override name = "AssertionError";
}

const fail = (message: string): never => {
  throw new AssertionError(message);
};

export default {
  fail,
  ok(value: unknown, message = `${value} is not truthy`): void {
    if (!value) fail(message);
  },
  equal(actual: unknown, expected: unknown, message = `${actual} is not ${expected}`): void {
    if (!Object.is(actual, expected)) fail(message);
  },
};
