import type { App } from "../app/app.ts";
import { watch } from "../app/signal.ts";
import { language, text } from "../text/language.ts";
import { h, label, panel, words } from "./dom.ts";

/** Saving what was learnt to a file, and bringing it back. */
export function weightsPanel(app: App): HTMLElement {
  const state = h("p", { class: "fact" });
  const save = h(
    "button",
    { type: "button", name: "save", click: () => app.save() },
    words((t) => t.save),
  );
  const file = label(
    h("input", {
      type: "file",
      accept: ".safetensors",
      class: "unseen",
      tabindex: -1,
      change: () => void read(),
    }),
    "aria-label",
    (t) => t.load,
  );
  const load = h(
    "button",
    { type: "button", name: "load", click: () => file.click() },
    words((t) => t.load),
  );
  const read = async () => {
    const [chosen] = file.files ?? [];
    if (chosen) app.load(await chosen.arrayBuffer(), chosen.name);
    file.value = "";
  };
  watch([app.weights, app.phase, language], () => {
    const t = text();
    const note = app.weights.value?.note;
    state.textContent = note ? t.noteOf(t.networks[note.settings.network][0], note.epoch, note.accuracy) : t.noWeights;
    save.disabled = !note;
    load.disabled = !app.resting || app.phase.value === "opening";
  });
  return panel(
    "weights",
    (t) => t.weights,
    h(
      "div",
      { class: "keep" },
      h(
        "div",
        {},
        state,
        h(
          "p",
          { class: "hint" },
          words((t) => t.weightsHint),
        ),
      ),
      h("div", { class: "actions" }, save, load, file),
    ),
  );
}
