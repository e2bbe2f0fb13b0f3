/** Chromium for tests in a page, and a web server for it. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { dawnFeatures } from "./dawn-features.ts";

const executable = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

/** Why tests in a page are left out, or false. */
export const skipInPage = executable ? false : "no Chromium found (Debian, Ubuntu: apt install chromium libvulkan1)";

export interface BrowserOptions {
  /** Offers WebGPU, computed by SwiftShader where there is no graphics processor. */
  readonly webgpu?: boolean;
}

/** Starts Chromium without a window. */
export const launch = ({ webgpu = true }: BrowserOptions = {}): Promise<Browser> =>
  chromium.launch({
    executablePath: executable,
    args: [
      "--no-sandbox",
      ...(webgpu
        ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", `--enable-dawn-features=${dawnFeatures}`]
        : ["--disable-features=WebGPU"]),
    ],
  });

export interface ServerOptions {
  /** Sends the headers that let a page share memory. */
  readonly isolated?: boolean;
}

export interface Site {
  readonly url: string;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Serves a folder as a plain static server does. */
export async function serve(folder: string, { isolated = true }: ServerOptions = {}): Promise<Site> {
  const server: Server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    const body = await readFile(file).catch(() => null);
    const type = types[extname(file)] ?? "application/octet-stream";
    response.writeHead(body ? 200 : 404, { "Content-Type": body ? type : "text/plain", ...(isolated && isolation) });
    response.end(body ?? "not found");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
