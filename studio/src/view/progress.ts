import type { App } from "../app/app.ts";
import { watch } from "../app/signal.ts";
import type { Text } from "../text/en.ts";
import { language, text } from "../text/language.ts";
import { lineChart } from "./chart.ts";
import { h, panel, words } from "./dom.ts";

/** How the training goes: where it stands, its speed, its curves. */
export function progressPanel(app: App): HTMLElement {
  const { trainLoss, trainAccuracy, testLoss, testAccuracy } = app.curves;
  const xMax = () => app.settings.value.epochs;
  return panel(
    "progress",
    (t) => t.progress,
    status(app),
    tiles(app),
    h(
      "div",
      { class: "charts" },
      lineChart({
        title: (t) => t.loss,
        scale: "log",
        xMax,
        series: [
          { name: (t) => t.trainSeries, points: () => trainLoss.points, dots: false },
          { name: (t) => t.testSeries, points: () => testLoss, dots: true },
        ],
        format: (value, t) => t.decimal(value),
        changes: [app.drawn, app.settings],
      }),
      lineChart({
        title: (t) => t.accuracy,
        scale: "share",
        xMax,
        series: [
          { name: (t) => t.trainSeries, points: () => trainAccuracy.points, dots: false },
          { name: (t) => t.testSeries, points: () => testAccuracy, dots: true },
        ],
        format: (value, t) => t.percent(value),
        changes: [app.drawn, app.settings],
      }),
    ),
  );
}

function status(app: App): HTMLElement {
  const phase = h("p", { class: "phase", role: "status" });
  const place = h("p", { class: "place" });
  const bar = h("progress", { max: 1, value: 0 });
  watch([app.phase, language], () => {
    phase.textContent = text().phases[app.phase.value];
    phase.dataset.phase = app.phase.value;
  });
  watch([app.phase, app.step, app.fetched, language], () => {
    const { step, fetched } = app;
    const fetching = app.phase.value === "fetching";
    const share = fetching
      ? fetched.value.bytes / fetched.value.total || 0
      : step.value
        ? step.value.step / step.value.steps
        : 0;
    bar.value = share;
    place.textContent = fetching
      ? fetched.value.bytes > 0
        ? text().fetched(fetched.value.bytes)
        : ""
      : step.value
        ? text().step(step.value.step, step.value.steps)
        : "";
  });
  bar.setAttribute("aria-hidden", "true");
  return h("div", { class: "status" }, h("div", {}, phase, place), bar);
}

/** The three numbers of a training, large. */
function tiles(app: App): HTMLElement {
  const tile = (name: (t: Text) => string, value: (t: Text) => string, note: (t: Text) => string, id: string) => {
    const [dd, small] = [h("dd", { "data-value": id }), h("dd", { class: "note" })];
    watch([app.step, app.epoch, language], () => {
      dd.textContent = value(text());
      small.textContent = note(text());
    });
    return h("div", {}, h("dt", {}, words(name)), dd, small);
  };
  const none = "–";
  return h(
    "dl",
    { class: "tiles" },
    tile(
      (t) => t.testAccuracy,
      (t) => (app.epoch.value?.accuracy == null ? none : t.percent(app.epoch.value.accuracy)),
      (t) => (app.epoch.value?.accuracy == null ? "" : t.afterEpoch(app.epoch.value.epoch)),
      "accuracy",
    ),
    tile(
      (t) => t.trainLoss,
      (t) => (app.step.value ? t.decimal(app.step.value.loss) : none),
      () => "",
      "loss",
    ),
    tile(
      (t) => t.speed,
      (t) => (app.step.value ? t.count(app.step.value.imagesPerSecond) : none),
      () => "",
      "speed",
    ),
  );
}
