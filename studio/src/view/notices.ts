import type { App, Notice } from "../app/app.ts";
import { watch } from "../app/signal.ts";
import { language, text } from "../text/language.ts";
import { h } from "./dom.ts";

/** Says what went wrong or what can be gone on with, and offers the way on. */
export function notices(app: App): HTMLElement {
  const region = h("div", { class: "notices", "aria-live": "polite" });
  watch([app.notice, app.phase, language], () => {
    const notice = app.notice.value;
    region.replaceChildren(...(notice ? [card(app, notice)] : []));
  });
  return region;
}

function card(app: App, notice: Notice): HTMLElement {
  const t = text();
  const [title, cure] = t.notices[notice.kind];
  const { note } = notice;
  const detail = "detail" in notice ? notice.detail : "";
  const canGoOn = note !== null && notice.kind !== "loaded" && app.resting && note.epoch < note.settings.epochs;
  return h(
    "div",
    { class: `notice ${"detail" in notice ? "bad" : "good"}`, role: "detail" in notice ? "alert" : null },
    h("p", {}, h("strong", {}, title), " ", cure),
    note && h("p", { class: "fact" }, t.noteOf(t.networks[note.settings.network][0], note.epoch, note.accuracy)),
    detail ? h("p", { class: "detail", lang: "en" }, detail) : null,
    h(
      "div",
      { class: "actions" },
      canGoOn ? h("button", { type: "button", class: "primary", click: () => app.goOn() }, t.goOn) : null,
      h(
        "button",
        {
          type: "button",
          click: () => {
            app.notice.value = null;
          },
        },
        t.dismiss,
      ),
    ),
  );
}
