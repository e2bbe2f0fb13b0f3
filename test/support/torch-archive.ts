/** Writes archives and pickles as torch.save does, or as an attacker would. */

export interface RawEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What the directory claims, where it lies. */
  readonly claims?: {
    readonly length?: number;
    readonly offset?: number;
    readonly method?: number;
    readonly flags?: number;
  };
  /** Whether the directory gives sizes and offset in the zip64 extra field. */
  readonly wide?: boolean;
}

/** A zip archive of stored entries. */
export function zip(entries: readonly RawEntry[], { wide = false }: { readonly wide?: boolean } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, claims = {}, wide: wideEntry = false } of entries) {
    const text = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(text.length, 26);
    const { length = bytes.length, offset = at, method = 0, flags = 0 } = claims;
    const extra = Buffer.alloc(wideEntry ? 28 : 0);
    if (wideEntry) {
      extra.writeUInt16LE(1);
      extra.writeUInt16LE(24, 2);
      for (const [i, value] of [length, length, offset].entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    for (const [field, value] of [
      [20, length],
      [24, length],
      [42, offset],
    ])
      central.writeUInt32LE(wideEntry ? 0xffffffff : value, field);
    central.writeUInt16LE(text.length, 28);
    central.writeUInt16LE(extra.length, 30);
    parts.push(local, text, Buffer.from(bytes));
    directory.push(central, text, extra);
    at += local.length + text.length + bytes.length;
  }
  const size = directory.reduce((n, { length }) => n + length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(wide ? 0xffff : entries.length, 10);
  end.writeUInt32LE(wide ? 0xffffffff : size, 12);
  end.writeUInt32LE(wide ? 0xffffffff : at, 16);
  return Buffer.concat([...parts, ...directory, ...(wide ? [end64(entries.length, size, at)] : []), end]);
}

/** The zip64 end record and its locator. */
function end64(count: number, size: number, at: number): Buffer {
  const record = Buffer.alloc(76);
  record.writeUInt32LE(0x06064b50);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(at), 48);
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(at + size), 64);
  return record;
}

const ascii = (text: string): number[] => [...Buffer.from(text)];
const int = (value: number): number[] => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return [...bytes];
};

/** Opcodes of pickle, those of torch.save and some others. */
export const op = {
  global: (module: string, name: string): number[] => [0x63, ...ascii(`${module}\n${name}\n`)],
  text: (value: string): number[] => [0x58, ...int(Buffer.byteLength(value)), ...Buffer.from(value)],
  int: (value: number): number[] => [0x4a, ...int(value)],
  long: (value: number): number[] => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return [0x8a, 8, ...bytes];
  },
  tuple: (...items: readonly (readonly number[])[]): number[] => [0x28, ...items.flat(), 0x74],
  dict: (fields: Readonly<Record<string, readonly number[]>>): number[] => [
    ...[0x7d, 0x28],
    ...Object.entries(fields).flatMap(([key, value]) => [...op.text(key), ...value]),
    0x75,
  ],
  reduce: (callee: readonly number[], args: readonly number[]): number[] => [...callee, ...args, 0x52],
  none: [0x4e],
};

/** A whole pickle of protocol 2. */
export const pickle = (...body: readonly (readonly number[])[]): Uint8Array =>
  Uint8Array.from([0x80, 2, ...body.flat(), 0x2e]);

export interface TensorClaims {
  readonly key?: string;
  readonly storage?: string;
  readonly length?: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const integer = (value: number): number[] => (Math.abs(value) < 2 ** 31 ? op.int(value) : op.long(value));
const integers = (values: readonly number[]): number[] => op.tuple(...values.map(integer));

/** The opcodes of a tensor. */
export function tensorOps({
  key = "0",
  storage = "FloatStorage",
  length = 6,
  offset = 0,
  shape,
  strides,
}: TensorClaims) {
  const id = op.tuple(op.text("storage"), op.global("torch", storage), op.text(key), op.text("cpu"), integer(length));
  const hooks = op.reduce(op.global("collections", "OrderedDict"), op.tuple());
  return op.reduce(
    op.global("torch._utils", "_rebuild_tensor_v2"),
    op.tuple([...id, 0x51], integer(offset), integers(shape), integers(strides), [0x89], hooks),
  );
}
