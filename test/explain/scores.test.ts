import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "manabi";
import { readTarget } from "manabi/explain";

test("the score of a class, or of any function of the scores", async () => {
  const scores = tensor([
    [1, 2, 3],
    [4, 6, 8],
  ]);
  assert.deepEqual([...(await readTarget(scores, 2, 2))], [3, 8]);
  assert.deepEqual([...(await readTarget(scores, 2, (row) => row[2] - row[0]))], [2, 4]);
  assert.deepEqual([...(await readTarget([[1], [5]], 2, 0))], [1, 5]);
  assert.deepEqual([...(await readTarget(tensor([7, 9]), 2, 0))], [7, 9]);
});

test("scores that cannot be compared", async () => {
  await assert.rejects(readTarget([[1, 2]], 1, 2), /no class 2; the scores have 2 \(0 to 1\)/);
  await assert.rejects(readTarget([[1], [Number.NaN]], 2, 0), /example 1 is NaN/);
  await assert.rejects(readTarget([[1, 2], [1]], 2, 0), /row 1 has 1 numbers, row 0 has 2/);
  await assert.rejects(readTarget(tensor([[1, 2]]), 3, 0), /expected \[3, classes\].*returned \[1,2\]/);
});
