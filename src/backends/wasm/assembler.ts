import { ManabiError } from "../../core/errors.ts";
import { lanes, loads, opcodes, signed, stores, unsigned, type ValueType } from "./opcodes.ts";

export type { ValueType };

/** Code that leaves one value. */
export interface Value {
  readonly type: ValueType;
  readonly code: readonly number[];
}

/** A variable of a function. */
export interface Local extends Value {
  readonly index: number;
}

/** A function that `call` can name: one defined in the module, or one imported into it. */
export interface Callee {
  readonly index: number;
  readonly params: readonly ValueType[];
  readonly result: ValueType | null;
}

const typeByte: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const block = 0x02;
const loop = 0x03;
const empty = 0x40;
const end = 0x0b;

const wrong = (text: string) => new ManabiError(`wasm assembler: ${text}`);

function check(what: string, value: Value, type: ValueType): void {
  if (value.type !== type) throw wrong(`${what} takes ${type}, not ${value.type}`);
}

// Values

/** A plain instruction by its name in the text format, such as "f32x4.mul". */
export function op(name: string, ...args: readonly Value[]): Value {
  const { result, code } = plain(name, args);
  if (!result) throw wrong(`${name} leaves no value`);
  return { type: result, code };
}

function plain(name: string, args: readonly Value[]): { result: ValueType | null; code: number[] } {
  const opcode = opcodes[name];
  if (!opcode) throw wrong(`no instruction ${name}`);
  if (args.length !== opcode.operands.length)
    throw wrong(`${name} takes ${opcode.operands.length} operands, not ${args.length}`);
  args.forEach((a, i) => {
    check(name, a, opcode.operands[i]);
  });
  return { result: opcode.result, code: [...args.flatMap((a) => a.code), ...opcode.bytes] };
}

export const i32 = (value: number): Value => ({ type: "i32", code: [0x41, ...signed(BigInt(value | 0))] });
export const i64 = (value: bigint): Value => ({ type: "i64", code: [0x42, ...signed(BigInt.asIntN(64, value))] });
export const f32 = (value: number): Value => ({ type: "f32", code: [0x43, ...floatBytes(value, 4)] });
export const f64 = (value: number): Value => ({ type: "f64", code: [0x44, ...floatBytes(value, 8)] });
/** A vector of sixteen bytes. */
export const v128 = (bytes: ArrayLike<number>): Value => ({ type: "v128", code: [0xfd, 0x0c, ...Array.from(bytes)] });
/** One value in each lane. */
export const f32x4 = (value: number): Value => v128(new Uint8Array(new Float32Array(4).fill(value).buffer));
export const f64x2 = (value: number): Value => v128(new Uint8Array(new Float64Array(2).fill(value).buffer));
export const i32x4 = (value: number): Value => v128(new Uint8Array(new Int32Array(4).fill(value).buffer));

function floatBytes(value: number, bytes: 4 | 8): number[] {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return Array.from(new Uint8Array(view.buffer));
}

/** What lies at `address` + `offset` bytes; no alignment is promised. */
export function load(name: string, address: Value, offset = 0): Value {
  const found = loads[name];
  if (!found) throw wrong(`no load ${name}`);
  check(name, address, "i32");
  return { type: found.result, code: [...address.code, ...found.bytes, 0, ...unsigned(offset)] };
}

/** Lane `lane` of a vector of the shape `shape`, such as "f32x4"; small integers come unsigned. */
export function extract(shape: string, vector: Value, lane: number): Value {
  check(`${shape}.extract_lane`, vector, "v128");
  const { extract: code, lane: type } = lanes[shape];
  return { type, code: [...vector.code, 0xfd, code, lane] };
}

/** The vector with `value` in lane `lane`. */
export function replace(shape: string, vector: Value, lane: number, value: Value): Value {
  const { replace: code, lane: type } = lanes[shape];
  check(`${shape}.replace_lane`, value, type);
  return { type: "v128", code: [...vector.code, ...value.code, 0xfd, code, lane] };
}

/** Sixteen bytes, numbered through both vectors. */
export const shuffle = (x: Value, y: Value, bytes: readonly number[]): Value => ({
  type: "v128",
  code: [...x.code, ...y.code, 0xfd, 0x0d, ...bytes],
});

/** Lanes of four bytes, numbered 0 to 7 through both vectors. */
export const shuffle32 = (x: Value, y: Value, four: readonly number[]): Value =>
  shuffle(
    x,
    y,
    four.flatMap((n) => [0, 1, 2, 3].map((b) => 4 * n + b)),
  );

/** `yes` where `condition` is not 0, else `no`; both are computed. */
export function select(condition: Value, yes: Value, no: Value): Value {
  check("select", condition, "i32");
  check("select", no, yes.type);
  return { type: yes.type, code: [...yes.code, ...no.code, ...condition.code, 0x1c, 1, typeByte[yes.type]] };
}

/** The same, computing only the one that is taken. */
export function choose(condition: Value, yes: Value, no: Value): Value {
  check("if", condition, "i32");
  check("else", no, yes.type);
  return { type: yes.type, code: [...condition.code, 0x04, typeByte[yes.type], ...yes.code, 0x05, ...no.code, end] };
}

/** The result of a function. */
export function call(callee: Callee, ...args: readonly Value[]): Value {
  if (!callee.result) throw wrong("a call for its value needs a function with a result");
  return { type: callee.result, code: callCode(callee, args) };
}

function callCode({ index, params }: Callee, args: readonly Value[]): number[] {
  if (args.length !== params.length)
    throw wrong(`function ${index} takes ${params.length} arguments, not ${args.length}`);
  args.forEach((a, i) => {
    check(`function ${index}`, a, params[i]);
  });
  return [...args.flatMap((a) => a.code), 0x10, ...unsigned(index)];
}

/** i32 arithmetic, which addresses are made of; literals and what follows from them at once are folded. */
export const add = (x: Value, y: Value | number): Value =>
  y === 0 ? x : op("i32.add", x, typeof y === "number" ? i32(y) : y);
export const sub = (x: Value, y: Value | number): Value =>
  y === 0 ? x : op("i32.sub", x, typeof y === "number" ? i32(y) : y);
export function mul(x: Value, y: Value | number): Value {
  if (typeof y !== "number") return op("i32.mul", x, y);
  if (y === 1) return x;
  const shift = Math.log2(y);
  return Number.isInteger(shift) ? op("i32.shl", x, i32(shift)) : op("i32.mul", x, i32(y));
}
export const lt = (x: Value, y: Value | number): Value => op("i32.lt_s", x, typeof y === "number" ? i32(y) : y);
export const eq = (x: Value, y: Value | number): Value => op("i32.eq", x, typeof y === "number" ? i32(y) : y);
export const div = (x: Value, y: Value | number): Value => op("i32.div_u", x, typeof y === "number" ? i32(y) : y);
export const rem = (x: Value, y: Value | number): Value => op("i32.rem_u", x, typeof y === "number" ? i32(y) : y);
export const minOf = (x: Value, y: Value): Value => select(op("i32.lt_s", x, y), x, y);

// Functions

type Code = (number | Code)[];

/** A place in the code of a function that is filled later, whatever has been written behind it. */
export interface Slot {
  readonly code: Code;
}

/** The body of a function while it is written; every method appends statements. */
export class FunctionBuilder {
  readonly params: readonly Local[];
  private readonly locals: ValueType[] = [];
  private code: Code = [];
  /** Blocks around what is being written. */
  private depth = 0;

  constructor(params: readonly ValueType[]) {
    this.params = params.map((type, index) => local(type, index));
  }

  /** A new variable, 0 until it is set, or with a first value. */
  local(type: ValueType, first?: Value): Local {
    const variable = local(type, this.params.length + this.locals.push(type) - 1);
    if (first) this.set(variable, first);
    return variable;
  }

  /** A new variable that holds a value. */
  let(value: Value): Local {
    return this.local(value.type, value);
  }

  set(target: Local, value: Value): void {
    check("local.set", value, target.type);
    this.code.push(...value.code, 0x21, ...unsigned(target.index));
  }

  /** A place, here, for what is only later found to be needed before what follows. */
  slot(): Slot {
    const code: Code = [];
    this.code.push(code);
    return { code };
  }

  /** Appends what `write` writes to a slot, which lies in the same block or in one around this. */
  into<T>({ code }: Slot, write: () => T): T {
    const outer = this.code;
    this.code = code;
    const result = write();
    this.code = outer;
    return result;
  }

  store(name: string, address: Value, value: Value, offset = 0): void {
    const found = stores[name];
    if (!found) throw wrong(`no store ${name}`);
    check(name, address, "i32");
    check(name, value, found.operand);
    this.code.push(...address.code, ...value.code, ...found.bytes, 0, ...unsigned(offset));
  }

  /** An instruction without a result, such as "memory.copy". */
  do(name: string, ...args: readonly Value[]): void {
    const { result, code } = plain(name, args);
    if (result) throw wrong(`${name} leaves a value`);
    this.code.push(...code);
  }

  call(callee: Callee, ...args: readonly Value[]): void {
    this.code.push(...callCode(callee, args));
    if (callee.result) this.code.push(0x1a);
  }

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    check("if", condition, "i32");
    this.code.push(...condition.code, 0x04, empty);
    this.depth++;
    then();
    if (otherwise) {
      this.code.push(0x05);
      otherwise();
    }
    this.depth--;
    this.code.push(end);
  }

  /** Runs `body` as long as the condition, which is worked out before each turn, is not 0. */
  while(condition: () => Value, body: () => void): void {
    this.code.push(block, empty, loop, empty);
    this.depth += 2;
    this.code.push(...op("i32.eqz", condition()).code, 0x0d, 1);
    body();
    this.code.push(0x0c, 0, end, end);
    this.depth -= 2;
  }

  /** For `variable` from its value up to `limit` (not included), by `step`. Both must not change on the way. */
  for(variable: Local, limit: Value | number, step: Value | number, body: () => void): void {
    const stop = typeof limit === "number" ? i32(limit) : limit;
    // The test stands at the end: one branch a turn.
    this.if(op("i32.lt_s", variable, stop), () => {
      this.code.push(loop, empty);
      this.depth++;
      body();
      this.set(variable, add(variable, step));
      this.code.push(...op("i32.lt_s", variable, stop).code, 0x0d, 0, end);
      this.depth--;
    });
  }

  /** The same for a new variable from `first` on, which the body is given. */
  range(first: Value | number, limit: Value | number, step: Value | number, body: (i: Local) => void): void {
    const variable = this.let(typeof first === "number" ? i32(first) : first);
    this.for(variable, limit, step, () => body(variable));
  }

  return(value?: Value): void {
    this.code.push(...(value?.code ?? []), 0x0f);
  }

  /** Bytes of the function in the code section. */
  encode(result: Value | null): number[] {
    if (this.depth) throw wrong("a block was left open");
    const declared = this.locals.flatMap((type) => [1, typeByte[type]]);
    const body = unsigned(this.locals.length).concat(declared, flatten(this.code), result?.code ?? [], end);
    return unsigned(body.length).concat(body);
  }
}

function flatten(code: Code): number[] {
  const bytes: number[] = [];
  const visit = (part: Code) => {
    for (const c of part)
      if (typeof c === "number") bytes.push(c);
      else visit(c);
  };
  visit(code);
  return bytes;
}

const local = (type: ValueType, index: number): Local => ({ type, index, code: [0x20, ...unsigned(index)] });

// Modules

export interface MemoryImport {
  /** Pages of 64 KiB. */
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/** A module that imports its memory as "env.memory" and exports the functions that are given a name. */
export class ModuleBuilder {
  private readonly memory: MemoryImport;
  private readonly types: string[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly functions: { type: number; body: number[]; name: string | null }[] = [];
  private readonly known = new Map<string, Callee>();

  constructor(memory: MemoryImport) {
    this.memory = memory;
  }

  private type(params: readonly ValueType[], result: ValueType | null): number {
    const list = (types: readonly ValueType[]) => [types.length, ...types.map((t) => typeByte[t])];
    const key = [0x60, ...list(params), ...list(result ? [result] : [])].join();
    const known = this.types.indexOf(key);
    return known < 0 ? this.types.push(key) - 1 : known;
  }

  /** A function of the host, "env.name". Imports come before the first function. */
  import(name: string, params: readonly ValueType[], result: ValueType | null): Callee {
    if (this.functions.length) throw wrong("imports come before functions");
    const index = this.imports.push({ name, type: this.type(params, result) }) - 1;
    return { index, params, result };
  }

  /** Defines a function; `body` writes its statements and returns its result, if it has one. */
  function(
    name: string | null,
    params: readonly ValueType[],
    result: ValueType | null,
    body: (f: FunctionBuilder, ...params: readonly Local[]) => Value | undefined,
  ): Callee {
    const builder = new FunctionBuilder(params);
    const value = body(builder, ...builder.params);
    if ((value?.type ?? null) !== result) throw wrong(`${name ?? "a function"} returns ${value?.type}, not ${result}`);
    const type = this.type(params, result);
    const index = this.imports.length + this.functions.push({ type, body: builder.encode(value ?? null), name }) - 1;
    return { index, params, result };
  }

  /** A function that others of the module share: `make` defines or imports it when it is first asked for. */
  once(key: string, make: () => Callee): Callee {
    const callee = this.known.get(key) ?? make();
    this.known.set(key, callee);
    return callee;
  }

  encode(): Uint8Array<ArrayBuffer> {
    const vector = (items: readonly (readonly number[])[]) => unsigned(items.length).concat(...items);
    const section = (id: number, content: readonly number[]) => [id].concat(unsigned(content.length), content);
    const text = (value: string) => {
      const bytes = new TextEncoder().encode(value);
      return [...unsigned(bytes.length), ...bytes];
    };
    const { initial, maximum, shared } = this.memory;
    const limits = [shared ? 3 : 1, ...unsigned(initial), ...unsigned(maximum)];
    const imports = [
      [...text("env"), ...text("memory"), 2, ...limits],
      ...this.imports.map(({ name, type }) => [...text("env"), ...text(name), 0, ...unsigned(type)]),
    ];
    const exported = this.functions.flatMap(({ name }, i) =>
      name === null ? [] : [[...text(name), 0, ...unsigned(this.imports.length + i)]],
    );
    return Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, vector(this.types.map((t) => t.split(",").map(Number)))),
      ...section(2, vector(imports)),
      ...section(3, vector(this.functions.map(({ type }) => unsigned(type)))),
      ...section(7, vector(exported)),
      ...section(10, vector(this.functions.map(({ body }) => body))),
    ]);
  }
}
