/** The studio as a user handles it. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";
import { build } from "vite";
import type { Settings } from "../../studio/src/worker/messages.ts";
import { digitPictures, strokesOf } from "./digits.ts";
import { root } from "./paths.ts";
import { idxFiles } from "./pictures.ts";

/** Builds the studio with a small set of digits beside it; returns the folder. */
export async function buildStudio(images: { train: number; test: number }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "manabi-studio-"));
  await build({
    configFile: join(root, "studio/vite.config.mjs"),
    logLevel: "error",
    publicDir: false,
    build: { outDir: folder },
  });
  const data = join(folder, "data/mnist");
  await mkdir(data, { recursive: true });
  const train = digitPictures(images.train, 1);
  for (const [name, bytes] of idxFiles("train", train.images, train.labels))
    await writeFile(join(data, `${name}.gz`), gzipSync(bytes));
  // The other part as it is without compression: a server may have either.
  const test = digitPictures(images.test, 2);
  for (const [name, bytes] of idxFiles("t10k", test.images, test.labels)) await writeFile(join(data, name), bytes);
  return folder;
}

export class StudioPage {
  readonly page: Page;
  /** What went wrong in the page without being told to the user. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** Opens the studio and waits until it is ready. */
  static async open(
    browser: Browser | BrowserContext,
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<StudioPage> {
    const context = "newContext" in browser ? await browser.newContext({ locale: "en", ...options }) : browser;
    const studio = new StudioPage(await context.newPage());
    await studio.page.goto(url);
    await studio.phase("idle");
    return studio;
  }

  /** Waits until the training stands there. */
  async phase(...phases: string[]): Promise<void> {
    const any = phases.map((phase) => `.phase[data-phase="${phase}"]`).join(", ");
    await this.page.waitForSelector(any, { timeout: 90_000 });
  }

  get notice(): Locator {
    return this.page.locator(".notice");
  }
  get answer(): Locator {
    return this.page.locator(".answer");
  }
  button(name: string): Locator {
    return this.page.locator(`button[name="${name}"]`);
  }
  backend(name: string): Locator {
    return this.page.locator(`input[name="backend"][value="${name}"]`);
  }

  /** Fills in the form. */
  async choose({ network, backend, epochs, batchSize, lr, seed }: Partial<Settings>): Promise<void> {
    const { page } = this;
    if (network) await page.check(`input[name="network"][value="${network}"]`);
    if (backend) await this.backend(backend).check();
    if (epochs) await page.fill('input[name="epochs"]', String(epochs));
    if (lr) await page.fill('input[name="lr"]', String(lr));
    if (batchSize === undefined && seed === undefined) return;
    await page.locator('details:has(input[name="seed"])').evaluate((details: HTMLDetailsElement) => {
      details.open = true;
    });
    if (batchSize) await page.fill('input[name="batchSize"]', String(batchSize));
    if (seed) await page.fill('input[name="seed"]', String(seed));
  }

  /** The large number of that name. */
  async value(name: "accuracy" | "loss" | "speed"): Promise<number> {
    const text = await this.page.locator(`[data-value="${name}"]`).textContent();
    return Number.parseFloat((text ?? "").replaceAll(",", ""));
  }

  /** Trains to the end; returns the last loss. Ten classes begin at a loss of about ln 10. */
  async train(): Promise<number> {
    await this.button("start").click();
    await this.phase("done");
    return this.value("loss");
  }

  /** Draws a digit with the mouse. */
  async draw(digit: number): Promise<void> {
    const canvas = this.page.locator("canvas");
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    assert.ok(box);
    const { mouse } = this.page;
    const at = ([x, y]: readonly [number, number]) => [box.x + x * box.width, box.y + y * box.height] as const;
    for (const [from, to] of strokesOf(digit)) {
      await mouse.move(...at(from));
      await mouse.down();
      await mouse.move(...at(to), { steps: 5 });
      await mouse.up();
    }
  }

  /** Waits until the network reads this digit. */
  async reads(digit: number): Promise<void> {
    await this.page.waitForSelector(`.bars .best[data-digit="${digit}"]`, { timeout: 20_000 });
  }
}
