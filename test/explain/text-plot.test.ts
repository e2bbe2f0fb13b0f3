import assert from "node:assert/strict";
import { test } from "node:test";
import { textPlot } from "manabi/explain";

test("words for and against differ in colour and line, by strength, and say their values", () => {
  const { text } = textPlot(["not", "a", "<superb>", "film"], [-1, 0, 4, 0.01]);
  assert.match(
    text,
    /<span style="background:color-mix\(in srgb,rgb\([\d,]+\) 60%,transparent\);border-bottom:2px solid [^"]+" title="\+4">&lt;superb&gt;<\/span>/,
  );
  assert.match(text, /15%,transparent\);border-bottom:2px dotted [^"]+" title="[−-]1">not<\/span>/);
  assert.match(text, / a <span/);
  assert.match(text, /<\/span> film /);
  assert.doesNotMatch(textPlot(["same"], [0]).text, /style/);
  assert.throws(() => textPlot(["one"], []), /0 values for 1 words/);
});
