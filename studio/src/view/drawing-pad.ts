import type { App } from "../app/app.ts";
import { watch } from "../app/signal.ts";
import { toDigit } from "../draw/digit.ts";
import { drawStrokes, inkOf, paper, type Stroke } from "../draw/strokes.ts";
import { language, text } from "../text/language.ts";
import { freshId, h, label, panel, words } from "./dom.ts";
import { reading } from "./reading.ts";

/** How far an arrow key moves the pen. */
const keyStep = 8;
const directions: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where a digit is drawn, and what the network makes of it. */
export function drawingPanel(app: App): HTMLElement {
  const pad = new DrawingPad(app);
  const hint = freshId();
  pad.canvas.setAttribute("aria-describedby", hint);
  return panel(
    "drawing",
    (t) => t.draw,
    h(
      "div",
      { class: "draw" },
      h(
        "div",
        { class: "pad" },
        pad.canvas,
        h(
          "div",
          { class: "under" },
          h(
            "button",
            { type: "button", name: "clear", click: () => pad.clear() },
            words((t) => t.clear),
          ),
          pad.pen,
        ),
      ),
      reading(app),
    ),
    h(
      "p",
      { class: "hint", id: hint },
      words((t) => t.drawHint),
      " ",
      words((t) => t.drawKeys),
    ),
  );
}

class DrawingPad {
  readonly canvas = label(
    h("canvas", { width: paper, height: paper, tabindex: 0, role: "application" }),
    "aria-label",
    (t) => t.canvas,
  );
  /** Tells whether the keyboard's pen is down. */
  readonly pen = h("span", { class: "pen", role: "status" });
  readonly #app: App;
  #strokes: Stroke[] = [];
  #cursor: [number, number] = [paper / 2, paper / 2];
  #penDown = false;
  #keyboard = false;
  #scheduled = false;

  constructor(app: App) {
    this.#app = app;
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#follow(event));
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("blur", () => this.#leave());
    watch([language], () => this.#tellPen());
    // What it reads changes with what it has learnt.
    app.step.listen(() => this.#changed());
    app.weights.listen(() => this.#changed());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#changed());
    this.#changed();
  }

  clear(): void {
    this.#strokes = [];
    this.#changed();
  }

  #begin(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#keyboard = false;
    this.#strokes.push([this.#place(event)]);
    this.#changed();
  }

  #follow(event: PointerEvent): void {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    const stroke = this.#strokes.at(-1);
    for (const part of event.getCoalescedEvents()) stroke?.push(this.#place(part));
    stroke?.push(this.#place(event));
    this.#changed();
  }

  #place({ clientX, clientY }: PointerEvent): [number, number] {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((clientX - left) / width) * paper, ((clientY - top) / height) * paper];
  }

  #press(event: KeyboardEvent): void {
    const direction = directions[event.key];
    if (direction) this.#moveCursor(direction);
    else if (event.key === " ") this.#togglePen();
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    event.preventDefault();
    this.#keyboard = true;
    this.#tellPen();
    this.#changed();
  }

  #moveCursor([dx, dy]: readonly [number, number]): void {
    const within = (v: number) => Math.min(Math.max(v, 0), paper);
    this.#cursor = [within(this.#cursor[0] + dx * keyStep), within(this.#cursor[1] + dy * keyStep)];
    if (this.#penDown) this.#strokes.at(-1)?.push([...this.#cursor]);
  }

  #togglePen(): void {
    this.#penDown = !this.#penDown;
    if (this.#penDown) this.#strokes.push([[...this.#cursor]]);
  }

  #leave(): void {
    this.#keyboard = this.#penDown = false;
    this.#tellPen();
    this.#changed();
  }

  #tellPen(): void {
    this.pen.textContent = this.#keyboard ? (this.#penDown ? text().penDown : text().penUp) : "";
  }

  /** Draws and asks the network, once a frame at most. */
  #changed(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
      this.#app.predict(this.#strokes.length ? toDigit(inkOf(this.#strokes), paper) : null);
    });
  }

  #draw(): void {
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const { color } = getComputedStyle(this.canvas);
    context.clearRect(0, 0, paper, paper);
    context.strokeStyle = color;
    drawStrokes(context, this.#strokes);
    if (!this.#keyboard) return;
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(...this.#cursor, this.#penDown ? 6 : 13, 0, 2 * Math.PI);
    context.strokeStyle = this.#penDown ? getComputedStyle(this.pen).color : color;
    context.stroke();
  }
}
