import type { App } from "../app/app.ts";
import { imageCounts, ranges } from "../app/settings.ts";
import { watch } from "../app/signal.ts";
import type { Text } from "../text/en.ts";
import { language, text } from "../text/language.ts";
import { type BackendChoice, networks, type Settings } from "../worker/messages.ts";
import { freshId, h, panel, setAttribute, words } from "./dom.ts";

type NumberKey = keyof typeof ranges;

/** What to train, with what, and the buttons that begin and end it. */
export function settingsForm(app: App): HTMLElement {
  const set = (change: Partial<Settings>) => {
    app.settings.value = { ...app.settings.value, ...change };
  };
  const choices = h("fieldset", { class: "bare" });
  choices.append(
    networkChoice(app, set),
    backendChoice(app, set),
    h("div", { class: "pair" }, numberField(app, set, "epochs"), numberField(app, set, "lr")),
    h(
      "details",
      {},
      h(
        "summary",
        {},
        words((t) => t.more),
      ),
      h(
        "div",
        { class: "pair" },
        numberField(app, set, "batchSize"),
        imagesField(app, set),
        numberField(app, set, "seed"),
      ),
    ),
  );
  watch([app.phase], () => setAttribute(choices, "disabled", !app.resting || app.phase.value === "opening"));
  const form = h(
    "form",
    {
      submit: (event) => {
        event.preventDefault();
        if (app.resting && app.phase.value !== "opening") app.start();
      },
    },
    choices,
    controls(app),
  );
  const section = panel("settings", (t) => t.train, form);
  section.id = "train";
  section.tabIndex = -1;
  return section;
}

function networkChoice(app: App, set: (change: Partial<Settings>) => void): HTMLElement {
  const options = networks.map((name) => {
    const input = h("input", { type: "radio", name: "network", value: name, change: () => set({ network: name }) });
    watch([app.settings], () => {
      input.checked = app.settings.value.network === name;
    });
    return option(
      input,
      words((t) => t.networks[name][0]),
      words((t) => t.networks[name][1]),
    );
  });
  return optionList((t) => t.network, h("div", {}, ...options));
}

function backendChoice(app: App, set: (change: Partial<Settings>) => void): HTMLElement {
  const list = h("div", {});
  watch([app.backends, language], () => {
    list.replaceChildren(...app.backends.value.map((choice) => backendOption(app, set, choice)));
  });
  watch([app.settings], () => {
    for (const input of list.querySelectorAll("input")) input.checked = input.value === app.settings.value.backend;
  });
  return optionList((t) => t.backend, list);
}

const optionList = (name: (t: Text) => string, list: HTMLElement): HTMLElement =>
  h("fieldset", { class: "options" }, h("legend", {}, words(name)), list);

function backendOption(
  app: App,
  set: (change: Partial<Settings>) => void,
  { name, works, detail, threads }: BackendChoice,
): HTMLElement {
  const t = text();
  const input = h("input", {
    type: "radio",
    name: "backend",
    value: name,
    disabled: !works,
    change: () => set({ backend: name }),
  });
  input.checked = app.settings.value.backend === name;
  if (!works) return missingBackend(input, t.backends[name], `${t.unavailable} ${t.missing[name]}`, detail);
  const threaded = name === "wasm";
  const separator = language.value === "ja" ? "、" : ", ";
  const notes = [t.backendNotes[name], ...(threaded ? [t.threads(threads)] : [])];
  const small = h("span", {}, notes.join(separator));
  if (threaded && !crossOriginIsolated) small.append(h("span", { class: "aside" }, t.oneThread));
  return option(input, t.backends[name], small);
}

/** One that cannot be chosen, with the reason; no label, because that holds nothing that can be opened. */
function missingBackend(input: HTMLInputElement, name: string, reason: string, detail: string): HTMLElement {
  const [id, hint] = [freshId(), freshId()];
  setAttribute(input, "aria-labelledby", id);
  setAttribute(input, "aria-describedby", hint);
  return h(
    "div",
    { class: "option" },
    input,
    h("span", { class: "name", id }, name),
    h(
      "small",
      {},
      h("span", { id: hint }, reason),
      h("details", {}, h("summary", {}, text().why), h("span", { lang: "en" }, detail)),
    ),
  );
}

const option = (input: HTMLInputElement, name: Node | string, note: Node): HTMLElement =>
  h("label", { class: "option" }, input, h("span", { class: "name" }, name), h("small", {}, note));

const fieldTexts: Record<NumberKey, (t: Text) => readonly [name: string, hint: string]> = {
  epochs: (t) => [t.epochs, t.epochsHint],
  batchSize: (t) => [t.batchSize, t.batchSizeHint],
  lr: (t) => [t.lr, t.lrHint],
  seed: (t) => [t.seed, t.seedHint],
};

function numberField(app: App, set: (change: Partial<Settings>) => void, key: NumberKey): HTMLElement {
  const hint = freshId();
  const input = h("input", {
    type: "number",
    name: key,
    inputmode: "decimal",
    required: true,
    "aria-describedby": hint,
    ...ranges[key],
    change: () => {
      if (input.checkValidity()) set({ [key]: input.valueAsNumber });
    },
  });
  watch([app.settings], () => {
    if (input.valueAsNumber !== app.settings.value[key]) input.value = String(app.settings.value[key]);
  });
  return h(
    "label",
    { class: "field" },
    h(
      "span",
      {},
      words((t) => fieldTexts[key](t)[0]),
    ),
    input,
    h(
      "small",
      { id: hint },
      words((t) => fieldTexts[key](t)[1]),
    ),
  );
}

function imagesField(app: App, set: (change: Partial<Settings>) => void): HTMLElement {
  const select = h("select", { name: "images", change: () => set({ images: Number(select.value) }) });
  for (const count of imageCounts)
    select.append(
      h(
        "option",
        { value: count },
        words((t) => t.imageCount(count)),
      ),
    );
  watch([app.settings], () => {
    select.value = String(app.settings.value.images);
  });
  return h(
    "label",
    { class: "field" },
    h(
      "span",
      {},
      words((t) => t.images),
    ),
    select,
  );
}

function controls(app: App): HTMLElement {
  const start = h(
    "button",
    { type: "submit", class: "primary", name: "start" },
    words((t) => t.start),
  );
  const pause = h("button", { type: "button", name: "pause", click: () => toggle() });
  const stop = h(
    "button",
    { type: "button", name: "stop", click: () => app.stop() },
    words((t) => t.stop),
  );
  const toggle = () => (app.phase.value === "paused" ? app.resume() : app.pause());
  watch([app.phase, language], () => {
    const phase = app.phase.value;
    start.hidden = !app.resting;
    start.disabled = phase === "opening";
    pause.hidden = stop.hidden = app.resting;
    pause.disabled = !["compiling", "training", "evaluating", "paused"].includes(phase);
    stop.disabled = phase === "stopping";
    pause.textContent = phase === "paused" ? text().resume : text().pause;
  });
  return h("div", { class: "controls" }, start, pause, stop);
}
