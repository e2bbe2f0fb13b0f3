/** The part of Python's pickle that torch.save writes, read without executing anything: a global is a name, and a
 *  call is carried out only where a table says what it means.
 *  https://github.com/python/cpython/blob/main/Lib/pickletools.py */
import { FormatError } from "../core/errors.ts";

/** A name that the file asks to import. */
export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Tuples and lists are arrays, dicts are maps, integers beyond 2^53 are bigints; objects are what `Meanings` make. */
export type PickleValue = unknown;

/** What names and persistent ids of a file mean. */
export interface Meanings {
  /** The result of calling a global, by its full name. A global that is not here is refused. */
  readonly calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>>;
  /** Globals that are values and cannot be called. */
  isValue(name: string): boolean;
  /** The object behind a persistent id. */
  persistent(id: PickleValue): PickleValue;
}

const mark = Symbol("mark");

type Step = (reader: PickleReader) => void;

const container = (make: () => PickleValue): Step => {
  return (r) => r.push(make());
};
const tupleOf = (count: number): Step => {
  return (r) => r.push(r.popMany(count));
};
const putAt = (index: (r: PickleReader) => number): Step => {
  return (r) => void r.memo.set(index(r), r.top());
};
const getAt = (index: (r: PickleReader) => number): Step => {
  return (r) => r.push(r.recall(index(r)));
};

/** Opcodes by code. */
const steps: Readonly<Record<number, Step>> = {
  128: (r) => r.protocol(r.byte()), // PROTO
  40: container(() => mark), // MARK
  78: container(() => null), // NONE
  136: container(() => true), // NEWTRUE
  137: container(() => false), // NEWFALSE
  125: container(() => new Map()), // EMPTY_DICT
  93: container(() => []), // EMPTY_LIST
  41: container(() => []), // EMPTY_TUPLE
  74: (r) => r.push(r.view(4).getInt32(0, true)), // BININT
  75: (r) => r.push(r.byte()), // BININT1
  77: (r) => r.push(r.view(2).getUint16(0, true)), // BININT2
  138: (r) => r.push(r.long(r.byte())), // LONG1
  71: (r) => r.push(r.view(8).getFloat64(0, false)), // BINFLOAT
  88: (r) => r.push(r.text(r.view(4).getUint32(0, true))), // BINUNICODE
  85: (r) => r.push(r.text(r.byte())), // SHORT_BINSTRING
  84: (r) => r.push(r.text(r.view(4).getUint32(0, true))), // BINSTRING
  133: tupleOf(1),
  134: tupleOf(2),
  135: tupleOf(3),
  116: (r) => r.push(r.popToMark()), // TUPLE
  113: putAt((r) => r.byte()), // BINPUT
  114: putAt((r) => r.view(4).getUint32(0, true)), // LONG_BINPUT
  104: getAt((r) => r.byte()), // BINGET
  106: getAt((r) => r.view(4).getUint32(0, true)), // LONG_BINGET
  115: (r) => r.setItems(r.popMany(2)), // SETITEM
  117: (r) => r.setItems(r.popToMark()), // SETITEMS
  97: (r) => r.append(r.popMany(1)), // APPEND
  101: (r) => r.append(r.popToMark()), // APPENDS
  99: (r) => r.global(), // GLOBAL
  81: (r) => r.push(r.meanings.persistent(r.popMany(1)[0])), // BINPERSID
  82: (r) => r.reduce(), // REDUCE
  98: (r) => r.build(), // BUILD
};

/** A pickle that goes on beyond the bytes at hand. */
export class TruncatedPickle extends FormatError {}

/** The value of the pickle that begins at `start`, and where it ends. Throws `FormatError` where it is truncated,
 *  damaged, or asks for anything but data; `label` names it in errors. */
export function readPickle(
  label: string,
  bytes: ArrayBuffer,
  meanings: Meanings,
  start = 0,
): { readonly value: PickleValue; readonly end: number } {
  const reader = new PickleReader(label, bytes, meanings, start);
  for (;;) {
    const code = reader.byte();
    if (code === 0x2e) return { value: reader.popMany(1)[0], end: reader.at }; // STOP
    const step = steps[code];
    if (!step) throw reader.fail(`the opcode 0x${code.toString(16)} is not among those that torch.save writes`);
    step(reader);
  }
}

class PickleReader {
  readonly #label: string;
  readonly #bytes: ArrayBuffer;
  readonly #stack: PickleValue[] = [];
  readonly memo = new Map<number, PickleValue>();
  readonly meanings: Meanings;
  at: number;

  constructor(label: string, bytes: ArrayBuffer, meanings: Meanings, start: number) {
    this.at = start;
    this.#label = label;
    this.#bytes = bytes;
    this.meanings = meanings;
  }

  fail(why: string): FormatError {
    return new FormatError(`${this.#label}: byte ${this.at - 1} of the pickle: ${why}`);
  }

  view(length: number): DataView {
    if (this.at + length > this.#bytes.byteLength) throw new TruncatedPickle(`${this.#label}: the pickle is truncated`);
    const view = new DataView(this.#bytes, this.at, length);
    this.at += length;
    return view;
  }

  byte(): number {
    return this.view(1).getUint8(0);
  }

  text(length: number): string {
    return new TextDecoder().decode(this.view(length));
  }

  /** A little-endian integer in two's complement. */
  long(length: number): number | bigint {
    const view = this.view(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(i));
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  protocol(version: number): void {
    if (version !== 2)
      throw this.fail(`protocol ${version}; torch.save writes protocol 2 unless told otherwise, save it that way`);
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  top(): PickleValue {
    if (!this.#stack.length) throw this.fail("the stack is empty");
    return this.#stack[this.#stack.length - 1];
  }

  popMany(count: number): PickleValue[] {
    const from = this.#stack.length - count;
    if (from < 0 || this.#stack.indexOf(mark, from) >= 0) throw this.fail("the stack holds too little");
    return this.#stack.splice(from);
  }

  popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw this.fail("there is no mark on the stack");
    const values = this.#stack.splice(at);
    return values.slice(1);
  }

  recall(index: number): PickleValue {
    if (!this.memo.has(index)) throw this.fail(`nothing was remembered under ${index}`);
    return this.memo.get(index);
  }

  setItems(pairs: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map) || pairs.length % 2) throw this.fail("items are set on something that is no dict");
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1]);
  }

  append(values: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.fail("values are appended to something that is no list");
    for (const value of values) list.push(value);
  }

  /** Two lines: module and name. */
  global(): void {
    const line = (): string => {
      let text = "";
      for (let code = this.byte(); code !== 0x0a; code = this.byte()) text += String.fromCharCode(code);
      return text;
    };
    const name = `${line()}.${line()}`;
    if (!Object.hasOwn(this.meanings.calls, name) && !this.meanings.isValue(name)) throw this.fail(refusal(name));
    this.push(new PickleGlobal(name));
  }

  reduce(): void {
    const [callee, args] = this.popMany(2);
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args))
      throw this.fail("it calls something that is no name");
    if (!Object.hasOwn(this.meanings.calls, callee.name)) throw this.fail(refusal(callee.name));
    this.push(this.meanings.calls[callee.name](args));
  }

  /** Attributes of an ordered dict, such as the `_metadata` of a state dict, are dropped. */
  build(): void {
    this.popMany(1);
    if (!(this.top() instanceof Map)) throw this.fail("attributes are set on something that is no dict");
  }
}

const refusal = (name: string): string =>
  `it would call ${name}, and only tensors and plain values are read. ` +
  "Save the state dict alone: torch.save(model.state_dict(), path)";
