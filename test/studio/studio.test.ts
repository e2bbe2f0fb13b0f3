/** The studio in Chromium: training, drawing, weights, languages, the keyboard, and what goes wrong. */
import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Worker } from "playwright-core";
import { launch, type Site, serve, skipInPage } from "../support/chromium.ts";
import { buildStudio, StudioPage } from "../support/studio.ts";

const quick = { network: "mlp", epochs: 4, batchSize: 20, lr: 0.01 } as const;

describe("the studio in Chromium", { skip: skipInPage }, () => {
  let folder: string;
  let browser: Browser;
  let site: Site;
  before(async () => {
    folder = await buildStudio({ train: 400, test: 100 });
    [browser, site] = await Promise.all([launch(), serve(folder)]);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  for (const backend of ["webgpu", "wasm", "reference"] as const)
    test(`trains on ${backend}: the loss falls, and a digit that is drawn is read`, async () => {
      const studio = await StudioPage.open(browser, site.url);
      await studio.draw(7);
      assert.match((await studio.answer.textContent()) ?? "", /learnt nothing yet/);
      // Fewer steps where a GPU in software takes long for each.
      await studio.choose({ ...quick, backend, ...(backend === "webgpu" && { epochs: 6, batchSize: 50 }) });
      const loss = await studio.train();
      assert.ok(loss < 0.5 * Math.log(10), `the loss is ${loss}`);
      assert.ok((await studio.value("accuracy")) > 80, `test accuracy ${await studio.value("accuracy")} %`);
      assert.ok((await studio.value("speed")) > 0);
      await studio.reads(7);
      const curve = await studio.page.locator(".series.s0 path").first().getAttribute("d");
      assert.ok((curve ?? "").length > 20, "the curve is drawn");
      await studio.button("clear").click();
      await studio.draw(4);
      await studio.reads(4);
      assert.deepEqual(studio.errors, []);
      await studio.page.context().close();
    });

  test("the same seed gives the same run, another one another", async () => {
    const studio = await StudioPage.open(browser, site.url);
    const runs: string[] = [];
    for (const seed of [1, 1, 2]) {
      await studio.choose({ ...quick, backend: "reference", epochs: 1, seed });
      await studio.train();
      const file = studio.page.waitForEvent("download");
      await studio.button("save").click();
      runs.push((await readFile(await (await file).path())).subarray(-4000).toString("hex"));
    }
    assert.equal(runs[0], runs[1]);
    assert.notEqual(runs[0], runs[2]);
    await studio.page.context().close();
  });

  test("pause holds it, resume goes on, stop ends it", async () => {
    const studio = await StudioPage.open(browser, site.url);
    await studio.choose({ ...quick, backend: "reference", epochs: 100 });
    await studio.button("start").click();
    await studio.phase("training");
    await studio.button("pause").click();
    await studio.phase("paused");
    const place = await studio.page.locator(".place").textContent();
    await studio.page.waitForTimeout(400);
    assert.equal(await studio.page.locator(".place").textContent(), place);
    await studio.button("pause").click();
    await studio.phase("training", "evaluating");
    await studio.button("stop").click();
    await studio.phase("stopped");
    assert.notEqual(await studio.page.locator(".place").textContent(), place);
    await studio.page.context().close();
  });

  test("weights go to a file and come back in another page; a wrong file is refused with the reason", async () => {
    const studio = await StudioPage.open(browser, site.url);
    await studio.choose({ ...quick, backend: "reference" });
    await studio.train();
    const download = studio.page.waitForEvent("download");
    await studio.button("save").click();
    const saved = await download;
    assert.equal(saved.suggestedFilename(), "mnist-mlp-epoch4.safetensors");
    const path = join(folder, "weights.safetensors");
    await saved.saveAs(path);
    const accuracy = await studio.page.locator('[data-value="accuracy"]').textContent();
    await studio.page.context().close();

    const other = await StudioPage.open(browser, site.url);
    const file = other.page.locator('input[type="file"]');
    await file.setInputFiles(path);
    await other.page.waitForSelector(".notice.good");
    assert.match((await other.notice.textContent()) ?? "", /Weights loaded.*Two layers, epoch 4/);
    assert.equal(await other.page.locator('[data-value="accuracy"]').textContent(), accuracy);
    await other.draw(2);
    await other.reads(2);

    const bytes = await readFile(path);
    const foreign = Buffer.from('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(foreign.length));
    const wrong: [name: string, content: Buffer, reason: RegExp][] = [
      ["picture.safetensors", Buffer.from("GIF89a not weights at all"), /the header claims/],
      ["cut.safetensors", bytes.subarray(0, bytes.length - 1000), /the file is truncated/],
      ["foreign.safetensors", Buffer.concat([length, foreign, Buffer.alloc(4)]), /no entry "manabi.studio"/],
      [
        "other.safetensors",
        Buffer.from(bytes.toString("latin1").replaceAll('\\"mlp\\"', '\\"resnet\\"'), "latin1"),
        /other\.safetensors: .*(claims|JSON|hole|bytes)/,
      ],
    ];
    for (const [name, content, reason] of wrong) {
      await writeFile(join(folder, name), content);
      await file.setInputFiles(join(folder, name));
      await other.page.waitForSelector(".notice.bad");
      const said = (await other.notice.textContent()) ?? "";
      assert.match(said, /This file cannot be loaded/);
      assert.match(said, reason);
      assert.ok(said.includes(name), said);
      await other.notice.getByRole("button").click();
    }
    await other.button("clear").click();
    await other.draw(5);
    await other.reads(5);
    await other.page.context().close();
  });

  test("speaks the browser's language, and another one when asked, on the next visit too", async () => {
    const studio = await StudioPage.open(browser, site.url, { locale: "ja-JP" });
    const { page } = studio;
    assert.equal(await page.locator("html").getAttribute("lang"), "ja");
    assert.equal(await studio.button("start").textContent(), "学習を始める");
    await page.getByRole("button", { name: "English" }).click();
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    assert.equal(await studio.button("start").textContent(), "Start training");
    await page.reload();
    await studio.phase("idle");
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    assert.equal(await page.getByRole("button", { name: "English" }).getAttribute("aria-pressed"), "true");
    await page.context().close();
  });

  test("everything can be done with the keyboard", async () => {
    const studio = await StudioPage.open(browser, site.url);
    const { page } = studio;
    const { keyboard } = page;
    await studio.choose({ ...quick, backend: "reference" });
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    const tabTo = async (selector: string) => {
      for (let i = 0; i < 40; i++) {
        if (await page.evaluate((s) => document.activeElement?.matches(s), selector)) return;
        await keyboard.press("Tab");
      }
      assert.fail(`Tab does not reach ${selector}`);
    };
    await tabTo('input[name="network"]');
    await keyboard.press("ArrowDown");
    assert.equal(await page.locator('input[name="network"]:checked').getAttribute("value"), "convnet");
    await keyboard.press("ArrowUp");
    await tabTo('button[name="start"]');
    await keyboard.press("Enter");
    await studio.phase("done");
    await tabTo("canvas");
    // A 7 from the middle: to the upper left, then right, then down.
    const press = async (key: string, times: number) => {
      for (let i = 0; i < times; i++) await keyboard.press(key);
    };
    await press("ArrowLeft", 7);
    await press("ArrowUp", 10);
    await keyboard.press("Space");
    assert.equal(await page.locator(".pen").textContent(), "Pen down");
    await press("ArrowRight", 14);
    await press("ArrowDown", 20);
    await keyboard.press("Space");
    await studio.reads(7);
    await keyboard.press("Delete");
    await page.waitForSelector(".answer.none");
    await page.context().close();
  });

  test("a training whose thread is killed says so and goes on from the last epoch", async () => {
    const studio = await StudioPage.open(browser, site.url);
    await studio.choose({ ...quick, backend: "reference", epochs: 12 });
    await studio.button("start").click();
    await studio.page.waitForFunction(() => document.querySelector('[data-value="accuracy"]')?.textContent !== "–");
    const [worker]: Worker[] = studio.page.workers();
    await worker.evaluate(() => self.close()).catch(() => {}); // it may be gone before it has answered
    await studio.page.waitForSelector(".notice.bad", { timeout: 20_000 });
    assert.match((await studio.notice.textContent()) ?? "", /ended from outside.*Two layers, epoch \d+/);
    await studio.phase("idle");
    await studio.notice.getByRole("button", { name: "Go on training" }).click();
    await studio.phase("done");
    assert.match((await studio.page.locator(".weights .fact").textContent()) ?? "", /epoch 12/);
    await studio.page.context().close();
  });

  test("a page that is closed while training offers to go on when it is opened again", async () => {
    const studio = await StudioPage.open(browser, site.url);
    const context = studio.page.context();
    await studio.choose({ ...quick, backend: "reference", epochs: 12 });
    await studio.button("start").click();
    await studio.page.waitForFunction(() => document.querySelector('[data-value="accuracy"]')?.textContent !== "–");
    await studio.page.waitForTimeout(200); // the epoch's weights are being kept
    await studio.page.close();

    const again = await StudioPage.open(context, site.url);
    await again.page.waitForSelector(".notice");
    assert.match((await again.notice.textContent()) ?? "", /interrupted.*Two layers, epoch \d+/);
    await again.draw(1);
    await again.reads(1);
    await again.notice.getByRole("button", { name: "Go on training" }).click();
    await again.phase("done");
    assert.ok((await again.value("accuracy")) > 80);
    await context.close();
  });

  test("a server without the headers for shared memory: one thread, and the page says so", async () => {
    const plain = await serve(folder, { isolated: false });
    try {
      const studio = await StudioPage.open(browser, plain.url);
      assert.equal(await studio.page.evaluate(() => crossOriginIsolated), false);
      const option = studio.page.locator(".option", { has: studio.backend("wasm") });
      assert.match((await option.textContent()) ?? "", /1 thread.*does not send the headers/);
      await studio.choose({ ...quick, backend: "wasm" });
      const loss = await studio.train();
      assert.ok(loss < 0.5 * Math.log(10), `the loss is ${loss}`);
      await studio.page.context().close();
    } finally {
      await plain.close();
    }
  });

  test("images that are missing or damaged: the page says what to do, and works once they are there", async () => {
    const studio = await StudioPage.open(browser, site.url);
    const { page } = studio;
    await studio.choose({ ...quick, backend: "reference" });
    await page.context().route("**/data/mnist/**", (route) => route.fulfill({ status: 404 }));
    await studio.button("start").click();
    await page.waitForSelector(".notice.bad");
    assert.match((await studio.notice.textContent()) ?? "", /images of MNIST are not there.*npm run studio/);
    await page.context().unrouteAll();
    await page.context().route("**/t10k-labels*", (route) => route.fulfill({ status: 200, body: "no labels" }));
    await studio.button("start").click();
    await page.waitForSelector(".notice:has-text('damaged')");
    await page.context().unrouteAll();
    await studio.train();
    assert.equal(await studio.notice.count(), 0);
    await page.context().close();
  });

  test("a browser without WebGPU: it cannot be chosen, and the reason stands beside it", async () => {
    const without = await launch({ webgpu: false });
    try {
      const studio = await StudioPage.open(without, site.url);
      assert.equal(await studio.backend("webgpu").isDisabled(), true);
      const option = studio.page.locator(".option", { has: studio.backend("webgpu") });
      assert.match((await option.textContent()) ?? "", /Not available here\..*no graphics processor.*WebGPU/);
      await studio.choose({ ...quick, backend: "wasm" });
      const loss = await studio.train();
      assert.ok(loss < 0.5 * Math.log(10), `the loss is ${loss}`);
    } finally {
      await without.close();
    }
  });

  test("a graphics processor that is lost while training: the page says so and goes on from the last epoch", async () => {
    const context = await browser.newContext({ locale: "en" });
    // Keeps the device of the worker within reach.
    const keep = `{
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        return (self.device = await request.apply(this, args));
      };
    }`;
    await context.route("**/worker-*.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${keep}\n${await response.text()}` });
    });
    const studio = await StudioPage.open(context, site.url);
    await studio.choose({ ...quick, backend: "webgpu", epochs: 12 });
    await studio.button("start").click();
    await studio.page.waitForFunction(() => document.querySelector('[data-value="accuracy"]')?.textContent !== "–");
    await studio.page.workers()[0].evaluate("device.destroy()");
    await studio.page.waitForSelector(".notice.bad", { timeout: 20_000 });
    assert.match((await studio.notice.textContent()) ?? "", /graphics processor was lost.*Two layers, epoch \d+/);
    await studio.backend("wasm").check();
    await studio.notice.getByRole("button", { name: "Go on training" }).click();
    await studio.phase("done");
    await studio.draw(3);
    await studio.reads(3);
    await context.close();
  });
});
