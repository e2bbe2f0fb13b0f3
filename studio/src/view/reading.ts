import type { App } from "../app/app.ts";
import { watch } from "../app/signal.ts";
import { language, text } from "../text/language.ts";
import { h, words } from "./dom.ts";

/** How long a reading stays the same before it is read out. */
const quietMs = 600;

/** The probabilities of the ten digits as bars, the most probable one large. */
export function reading(app: App): HTMLElement {
  const answer = h("p", { class: "answer" });
  const spoken = h("p", { class: "unseen", role: "status" });
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const [bar, share] = [h("i", {}), h("span", { class: "share" })];
    return {
      row: h("li", { "data-digit": digit }, h("span", {}, String(digit)), h("span", { class: "bar" }, bar), share),
      bar,
      share,
    };
  });
  let quiet: ReturnType<typeof setTimeout> | undefined;
  watch([app.probabilities, app.weights, app.step, language], () => {
    const t = text();
    const probabilities = app.probabilities.value;
    const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    for (const [digit, { row, bar, share }] of rows.entries()) {
      const p = probabilities?.[digit] ?? 0;
      row.classList.toggle("best", digit === best);
      bar.style.inlineSize = `${(100 * p).toFixed(2)}%`;
      share.textContent = probabilities ? t.percent(p, 1) : "";
    }
    const untrained = !app.weights.value && !app.step.value;
    const said =
      probabilities && best >= 0 ? t.reading(best, probabilities[best]) : untrained ? t.untrained : t.readsNothing;
    answer.textContent = said;
    answer.classList.toggle("none", best < 0);
    clearTimeout(quiet);
    quiet = setTimeout(() => {
      spoken.textContent = said;
    }, quietMs);
  });
  return h(
    "div",
    { class: "reading" },
    h(
      "h3",
      {},
      words((t) => t.reads),
    ),
    answer,
    spoken,
    h("ol", { class: "bars", "aria-hidden": "true" }, ...rows.map(({ row }) => row)),
  );
}
