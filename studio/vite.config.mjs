import { defineConfig } from "vite";

/** Lets a page share memory, and so compute with threads (https://web.dev/articles/coop-coep). */
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  root: import.meta.dirname,
  // Relative addresses: the built studio works in any folder of any server.
  base: "./",
  // A file that is not there is answered with 404, not with the page.
  appType: "mpa",
  resolve: { conditions: ["source", "browser", "module"] },
  worker: { format: "es" },
  build: { target: "es2022", emptyOutDir: true },
  server: { headers: isolation },
  preview: { headers: isolation },
});
