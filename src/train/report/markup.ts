/** Text that is HTML already and is not escaped again. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Child = Markup | string | number | null | false | undefined | readonly Child[];

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const render = (child: Child): string => {
  if (child === null || child === false || child === undefined) return "";
  if (child instanceof Markup) return child.text;
  if (typeof child === "object") return child.map(render).join("");
  // XML and HTML have no way to write control characters.
  return String(child)
    .replace(/(?![\t\n\r])\p{Cc}/gu, "\ufffd")
    .replace(/[&<>"']/g, (c) => entities[c]);
};

/** A template whose strings and numbers are escaped; lists are joined, null and false leave nothing. */
export const html = (parts: TemplateStringsArray, ...children: Child[]): Markup =>
  new Markup(parts.reduce((text, part, i) => text + render(children[i - 1]) + part));

/** A PNG as the value of `src`. */
export const dataUri = (png: Uint8Array): string => `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
