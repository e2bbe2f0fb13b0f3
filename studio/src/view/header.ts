import { watch } from "../app/signal.ts";
import { language, languages, speak, textIn } from "../text/language.ts";
import { h, setAttribute, svg, words } from "./dom.ts";

/** The name of the studio and the choice of language. */
export function header(): HTMLElement {
  const mark = svg(
    "svg",
    { viewBox: "0 0 32 32", class: "mark", "aria-hidden": "true" },
    svg("path", { d: "M25.6 11.2A11 11 0 1 1 19.5 5.6" }),
    svg("circle", { cx: 16, cy: 16, r: 3.4 }),
  );
  const buttons = languages.map((name) => {
    const button = h("button", { type: "button", lang: name, click: () => speak(name) }, textIn(name).language);
    watch([language], () => setAttribute(button, "aria-pressed", String(language.value === name)));
    return button;
  });
  return h(
    "header",
    { class: "top" },
    mark,
    h(
      "div",
      {},
      h(
        "h1",
        {},
        words((t) => t.title),
      ),
      h(
        "p",
        {},
        words((t) => t.subtitle),
      ),
    ),
    h("div", { class: "languages", role: "group", "aria-label": "Language, 言語" }, ...buttons),
  );
}
