import { App } from "./app/app.ts";
import { watch } from "./app/signal.ts";
import { language, text } from "./text/language.ts";
import { h, words } from "./view/dom.ts";
import { drawingPanel } from "./view/drawing-pad.ts";
import { header } from "./view/header.ts";
import { notices } from "./view/notices.ts";
import { progressPanel } from "./view/progress.ts";
import { settingsForm } from "./view/settings-form.ts";
import { weightsPanel } from "./view/weights-panel.ts";

const app = new App();

watch([language], () => {
  document.documentElement.lang = language.value;
  document.title = text().title;
});

document.body.append(
  h(
    "a",
    { class: "skip", href: "#train" },
    words((t) => t.skip),
  ),
  header(),
  notices(app),
  h(
    "main",
    {},
    h("div", { class: "left" }, settingsForm(app)),
    h("div", { class: "right" }, progressPanel(app), drawingPanel(app), weightsPanel(app)),
  ),
  h(
    "footer",
    {},
    h(
      "p",
      {},
      words((t) => t.about),
    ),
  ),
);
