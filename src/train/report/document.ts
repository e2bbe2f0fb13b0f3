import type { PageSection } from "./data.ts";
import { html, Markup } from "./markup.ts";
import { style } from "./style.ts";

/** A page of sections under a header and the list of them. */
export function sectionedDocument(
  title: string,
  version: string,
  header: Markup,
  sections: readonly PageSection[],
): string {
  const body = html`<header>
${header}
<nav aria-label="Contents">${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
</header>
<main>
${sections.map(({ id, title, body }) => html`<section aria-labelledby="${id}">\n<h2 id="${id}">${title}</h2>\n${body}\n</section>\n`)}</main>
`;
  return htmlDocument(title, version, body);
}

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
