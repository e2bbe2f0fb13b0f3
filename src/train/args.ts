/** Typed arguments: one literal feeds the command line, the help, a form, the run record, and the types of a recipe. */
import { parseArgs as tokenize } from "node:util";
import { ManabiError, nearest } from "../core/errors.ts";

interface Range {
  readonly min?: number;
  readonly max?: number;
}

export interface IntArg extends Range {
  readonly kind: "int";
  readonly default: number;
  readonly doc: string;
}
export interface FloatArg extends Range {
  readonly kind: "float";
  readonly default: number;
  readonly doc: string;
}
export interface FlagArg {
  readonly kind: "flag";
  readonly default: boolean;
  readonly doc: string;
}
export interface ChoiceArg<C extends string = string> {
  readonly kind: "choice";
  readonly choices: readonly C[];
  readonly default: C;
  readonly doc: string;
}
export interface TextArg<D extends string | null = string | null> {
  readonly kind: "text";
  readonly default: D;
  readonly doc: string;
}

/** One argument, as plain data. */
export type Arg = IntArg | FloatArg | FlagArg | ChoiceArg | TextArg;
/** The arguments of a recipe by name. */
export type ArgSpec = Readonly<Record<string, Arg>>;
export type ArgValue = number | boolean | string | null;

type ValueOf<A extends Arg> = A extends IntArg | FloatArg
  ? number
  : A extends FlagArg
    ? boolean
    : A extends ChoiceArg<infer C>
      ? C
      : A extends TextArg<infer D>
        ? string | D
        : never;

/** The values that a spec describes: `{ lr: float(0.1, "...") }` gives `{ lr: number }`. */
export type ArgValues<S extends ArgSpec> = { readonly [K in keyof S]: ValueOf<S[K]> };

/** A whole number, by default of any size; `range` bounds are inclusive. */
export const int = (value: number, doc: string, range: Range = {}): IntArg => ({
  kind: "int",
  default: value,
  doc,
  ...range,
});

/** A finite number; `range` bounds are inclusive. */
export const float = (value: number, doc: string, range: Range = {}): FloatArg => ({
  kind: "float",
  default: value,
  doc,
  ...range,
});

/** On or off: `--name`, `--no-name`. */
export const flag = (value: boolean, doc: string): FlagArg => ({ kind: "flag", default: value, doc });

/** One of a few names; the first one unless `value` is given. */
export const choice = <const C extends string>(
  choices: readonly C[],
  doc: string,
  value: NoInfer<C> = choices[0],
): ChoiceArg<C> => ({ kind: "choice", choices, default: value, doc });

/** Any text, such as a path; a default of null means "not given". */
export const text = <D extends string | null>(value: D, doc: string): TextArg<D extends string ? string : D> => ({
  kind: "text",
  // A literal default would make the type of the value that literal.
  default: value as D extends string ? string : D,
  doc,
});

/** Arguments that do not fit; every problem is in `problems`, one line each. */
export class ArgsError extends ManabiError {
  override name = "ArgsError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** `batchSize` as typed on the command line: `--batch-size`. */
export const flagName = (name: string): string => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/** Why `value` is not one of this argument, or null. */
function problemOf(arg: Arg, value: unknown): string | null {
  switch (arg.kind) {
    case "int":
    case "float": {
      const what = arg.kind === "int" ? "a whole number" : "a number";
      const fits = arg.kind === "int" ? Number.isSafeInteger(value) : Number.isFinite(value);
      if (!fits || typeof value !== "number") return `is not ${what}`;
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = arg;
      return value < min || value > max ? `is out of range (${showRange(arg)})` : null;
    }
    case "flag":
      return typeof value === "boolean" ? null : "is not true or false";
    case "choice": {
      if (typeof value === "string" && arg.choices.includes(value)) return null;
      const near = nearest(String(value), arg.choices);
      return `is not one of them; ${near.length ? `did you mean ${near.join(", ")}?` : `choose ${arg.choices.join(", ")}`}`;
    }
    case "text":
      return typeof value === "string" || (value === null && arg.default === null) ? null : "is not text";
  }
}

function showRange({ min, max }: Range): string {
  if (min === undefined) return `at most ${max}`;
  return max === undefined ? `at least ${min}` : `${min} to ${max}`;
}

/** The default of every argument. */
export const defaults = <S extends ArgSpec>(spec: S): ArgValues<S> => checkArgs(spec, {});

/** Checks values of unknown origin (JSON, a form); those not given are taken from `base`, then from the defaults.
 *  Throws `ArgsError` with every problem, unknown names with the nearest ones. */
export function checkArgs<S extends ArgSpec>(spec: S, values: unknown, base: Partial<ArgValues<S>> = {}): ArgValues<S> {
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw new ArgsError([`arguments are ${JSON.stringify(values)}; an object of name and value is expected`]);
  const problems: string[] = [];
  for (const name of Object.keys(values))
    if (!Object.hasOwn(spec, name)) problems.push(unknownArgument(name, Object.keys(spec)));
  const given: Partial<Record<string, unknown>> = { ...base, ...values };
  const result: Record<string, unknown> = {};
  for (const [name, arg] of Object.entries(spec)) {
    const value = given[name] === undefined ? arg.default : given[name];
    const problem = problemOf(arg, value);
    if (problem) problems.push(`${name}: ${JSON.stringify(value)} ${problem}`);
    result[name] = value;
  }
  if (problems.length) throw new ArgsError(problems);
  return result as ArgValues<S>; // every key of the spec has been checked against its kind
}

const unknownArgument = (name: string, known: string[]): string => {
  const near = nearest(name, known);
  return `unknown argument "${name}"; ${near.length ? `did you mean ${near.join(", ")}?` : `known: ${known.join(", ")}`}`;
};

/** Parses command line words (`--lr 0.1 --batch-size=64 --no-flip`); the last of a repeated option counts.
 *  Throws `ArgsError` with every problem, unknown options with the nearest ones. */
export function parseArgs<S extends ArgSpec>(
  spec: S,
  words: readonly string[],
  base: Partial<ArgValues<S>> = {},
): ArgValues<S> {
  const named = new Map<string, { name: string; value?: boolean }>();
  for (const [name, arg] of Object.entries(spec)) {
    const option = flagName(name).slice(2);
    if (arg.kind !== "flag") named.set(option, { name });
    else named.set(option, { name, value: true }).set(`no-${option}`, { name, value: false });
  }
  const options = Object.fromEntries(
    [...named].map(([option, { value }]) => [option, { type: value === undefined ? "string" : "boolean" } as const]),
  );
  const { tokens } = tokenize({ args: [...words], options, strict: false, tokens: true, allowPositionals: true });
  const given: Record<string, unknown> = {};
  const problems: string[] = [];
  let unknown = false;
  for (const token of tokens) {
    // A word after an unknown option is most likely its value and no mistake of its own.
    if (token.kind === "positional" && !unknown) problems.push(`unexpected "${token.value}"; options start with --`);
    unknown = token.kind === "option" && !named.has(token.name);
    if (token.kind !== "option") continue;
    const found = named.get(token.name);
    if (!found) {
      const all = [...named.keys()].map((option) => `--${option}`);
      problems.push(unknownArgument(token.rawName, all).replace("argument", "option"));
    } else if (found.value !== undefined) {
      if (token.value !== undefined) problems.push(`${token.rawName} takes no value (it is given "${token.value}")`);
      given[found.name] = found.value;
    } else if (token.value === undefined) problems.push(`${token.rawName} needs a value`);
    else given[found.name] = fromText(spec[found.name], token.value);
  }
  try {
    const values = checkArgs(spec, given, base);
    if (problems.length === 0) return values;
  } catch (error) {
    if (!(error instanceof ArgsError)) throw error;
    problems.push(...error.problems.map((line) => line.replace(/^\w+/, flagName)));
  }
  throw new ArgsError(problems);
}

/** A number where one is written; anything else stays text for the check to name. */
function fromText(arg: Arg, word: string): unknown {
  const isNumber = arg.kind === "int" || arg.kind === "float";
  return isNumber && word.trim() !== "" && !Number.isNaN(Number(word)) ? Number(word) : word;
}

/** The command line words that give these values, without those equal to the default. */
export function formatArgs<S extends ArgSpec>(spec: S, values: ArgValues<S>): string[] {
  return Object.entries(spec).flatMap(([name, arg]): string[] => {
    const value: ArgValue = values[name];
    if (value === arg.default || value === null) return [];
    if (arg.kind === "flag") return [value ? flagName(name) : `--no-${flagName(name).slice(2)}`];
    return [flagName(name), String(value)];
  });
}

/** Help lines, one option each: name, kind of value, meaning, range, default. */
export function helpText(spec: ArgSpec): string {
  const rows = Object.entries(spec).map(([name, arg]) => {
    const off = arg.kind === "flag" && arg.default ? `--no-${flagName(name).slice(2)}` : flagName(name);
    const value = { int: " <integer>", float: " <number>", flag: "", choice: " <name>", text: " <text>" }[arg.kind];
    const notes: string[] = [];
    if (arg.kind === "choice") notes.push(arg.choices.join(" | "));
    if ((arg.kind === "int" || arg.kind === "float") && (arg.min ?? arg.max) !== undefined) notes.push(showRange(arg));
    if (arg.default !== null && arg.default !== "")
      notes.push(`default ${arg.kind === "flag" ? (arg.default ? "on" : "off") : arg.default}`);
    return [`${off}${value}`, arg.doc + (notes.length ? ` (${notes.join("; ")})` : "")] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
