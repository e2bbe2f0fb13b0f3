import { html, Markup } from "./markup.ts";
import { style } from "./style.ts";

/** A page without scripts and without anything from the network; `version` is that of manabi. */
export function htmlDocument(title: string, version: string, body: Markup): string {
  // Nothing on the page may run or load anything, whatever a label or a path contains.
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="manabi ${version}">
<title>${title}</title>
<style>
${new Markup(style)}</style>
</head>
<body>
${body}<footer>Written by manabi ${version}.</footer>
</body>
</html>
`.text;
}
