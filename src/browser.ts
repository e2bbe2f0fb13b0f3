/** What `dist/browser/manabi.js` holds: one file for pages without a bundler. @module
 *
 *      <script type="module">
 *        import { nn, optim, tensor } from "./manabi.js";
 */
export * from "./index.ts";
export * as io from "./io/browser.ts";
export * as nn from "./nn/index.ts";
export * as optim from "./optim/index.ts";
