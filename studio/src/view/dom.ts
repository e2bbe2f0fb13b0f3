import { watch } from "../app/signal.ts";
import type { Text } from "../text/en.ts";
import { language, text } from "../text/language.ts";

type Value = string | number | boolean | null | ((event: Event) => void);

/** An element with attributes and listeners (a function is a listener of the event of its key); null and false leave out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((c) => c !== null));
  return element;
}

/** An SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number | boolean | null>> = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

export function setAttribute(element: Element, name: string, value: string | number | boolean | null): void {
  if (value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** A piece of text that follows the language. */
export function words(say: (t: Text) => string): globalThis.Text {
  const node = document.createTextNode("");
  watch([language], () => {
    node.data = say(text());
  });
  return node;
}

/** An attribute that follows the language, such as a label. */
export function label<E extends Element>(element: E, name: string, say: (t: Text) => string): E {
  watch([language], () => element.setAttribute(name, say(text())));
  return element;
}

let ids = 0;

/** An id for `aria-labelledby` and its kin. */
export const freshId = (): string => `id${++ids}`;

/** A section of the page with its heading. */
export function panel(name: string, title: (t: Text) => string, ...children: (Node | string | null)[]): HTMLElement {
  const id = freshId();
  return h("section", { class: `panel ${name}`, "aria-labelledby": id }, h("h2", { id }, words(title)), ...children);
}
