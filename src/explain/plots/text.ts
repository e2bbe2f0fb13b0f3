import { ManabiError } from "../../core/errors.ts";
import { html, type Markup } from "../../train/report/markup.ts";
import { colours, signed } from "./frame.ts";

/**
 * A text whose words have the colour of what they say for a score: orange over a full line for it, purple over a dotted
 * line against it, the stronger the more. `words` are shown with spaces between them. For pages, light or dark; values
 * are read out where a pointer rests on a word.
 */
export function textPlot(words: readonly string[], values: ArrayLike<number>): Markup {
  if (words.length !== values.length)
    throw new ManabiError(`textPlot: there are ${values.length} values for ${words.length} words; give one for each`);
  const limit = words.reduce((most, _, i) => Math.max(most, Math.abs(values[i])), 0);
  const shown = words.map((word, i) => {
    const share = limit > 0 ? Math.abs(values[i]) / limit : 0;
    if (share < 0.02) return html`${word} `;
    const [colour, line] = values[i] > 0 ? [colours.positive, "solid"] : [colours.negative, "dotted"];
    const mixed = (most: number) => `color-mix(in srgb,${colour} ${Math.round(most * share)}%,transparent)`;
    return html`<span style="background:${mixed(60)};border-bottom:2px ${line} ${mixed(100)}" title="${signed(values[i])}">${word}</span> `;
  });
  return html`<p class="words">${shown}</p>`;
}
