/** dist/browser/manabi.js in a page without a bundler. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { launch, type Site, serve, skipInPage } from "../support/chromium.ts";
import { root } from "../support/paths.ts";

const script = `
  import { backendStatus, crossEntropy, io, jit, nn, optim, prepareBackend, setBackend, tensor, valueAndGrad } from "./manabi.js";
  const losses = {};
  await prepareBackend("webgpu");
  const working = backendStatus().filter(({ works }) => works).map(({ name }) => name);
  let saved;
  for (const name of working) {
    setBackend(name);
    const model = nn.initialize(new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 2)), 3);
    const opt = optim.optimizer(model, optim.adam({ lr: 0.05 }));
    const x = tensor([[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]]);
    const y = tensor([0, 1, 1, 0], { dtype: "i32" });
    const step = jit((x, y) => {
      const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
      opt.update(grads);
      return loss;
    });
    losses[name] = [];
    for (let i = 0; i < 30; i++) losses[name].push(await step(x, y).item());
    const state = new Map();
    for (const [key, t] of model.stateDict()) state.set(key, { dtype: t.dtype, shape: t.shape, data: await t.data() });
    saved = [...(await io.parseSafetensors(io.encodeSafetensors(state).buffer)).keys()];
  }
  let refused = "";
  try { setBackend("native"); } catch (error) { refused = error.message; }
  window.outcome = { working, losses, saved, refused };
`;

interface Outcome {
  readonly working: string[];
  readonly losses: Record<string, number[]>;
  readonly saved: string[];
  readonly refused: string;
}

describe("one file in a page", { skip: skipInPage }, () => {
  let folder: string;
  let browser: Browser;
  let site: Site;
  let outcome: Outcome;
  before(async () => {
    execFileSync(process.execPath, [join(root, "scripts/build-browser.mjs")]);
    folder = await mkdtemp(join(tmpdir(), "manabi-page-"));
    await cp(join(root, "dist/browser/manabi.js"), join(folder, "manabi.js"));
    await writeFile(join(folder, "index.html"), `<!doctype html><script type="module">${script}</script>`);
    [browser, site] = await Promise.all([launch(), serve(folder)]);
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(site.url);
    await page
      .waitForFunction(() => "outcome" in window, null, { timeout: 60_000 })
      .catch(() => assert.fail(`the page did not finish: ${errors.join("; ")}`));
    outcome = await page.evaluate(() => (window as unknown as { outcome: Outcome }).outcome);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test("trains on every backend, to the same losses", () => {
    assert.deepEqual(outcome.working, ["webgpu", "wasm", "reference"]);
    const { reference } = outcome.losses;
    assert.ok(reference[29] < 0.5 * reference[0], `the loss went from ${reference[0]} to ${reference[29]}`);
    for (const [name, losses] of Object.entries(outcome.losses))
      for (const [i, loss] of losses.entries())
        assert.ok(Math.abs(loss - reference[i]) < 1e-4, `step ${i} on ${name}: ${loss}, the reference ${reference[i]}`);
  });

  test("writes and reads weights", () =>
    assert.deepEqual(outcome.saved.sort(), ["0.bias", "0.weight", "2.bias", "2.weight"]));

  test("a backend that is not for browsers is refused with what to do", () =>
    assert.match(outcome.refused, /backend native does not exist in a browser: it needs a C compiler.*prepareBackend/));
});
