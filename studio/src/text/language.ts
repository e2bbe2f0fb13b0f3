import { Signal } from "../app/signal.ts";
import { en, type Text } from "./en.ts";
import { ja } from "./ja.ts";

const texts = { en, ja } satisfies Record<string, Text>;
export type Language = keyof typeof texts;
export const languages: readonly Language[] = ["ja", "en"];

const key = "manabi-studio-language";
const known = (name: string | null): name is Language => name !== null && Object.hasOwn(texts, name);

/** The one chosen on an earlier visit, else the first of the browser's that the studio speaks. */
function firstLanguage(): Language {
  try {
    const kept = localStorage.getItem(key);
    if (known(kept)) return kept;
  } catch {
    // The browser keeps nothing.
  }
  return navigator.languages.map((tag) => tag.slice(0, 2)).find(known) ?? "en";
}

export const language = new Signal<Language>(firstLanguage());

/** The texts of the language in use. */
export const text = (): Text => texts[language.value];

/** Speaks another language from now on, on the next visit too. */
export function speak(name: Language): void {
  language.value = name;
  try {
    localStorage.setItem(key, name);
  } catch {
    // The browser keeps nothing.
  }
}

/** The texts of a language that may not be in use. */
export const textIn = (name: Language): Text => texts[name];
