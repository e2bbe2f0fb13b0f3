/** Files of torch.save: those that scripts/oracle/pytorch.py wrote, and hostile ones. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openPytorch, parsePytorch, readPytorch, readTensors, writeSafetensors } from "../../src/io/index.ts";
import { BatchNorm2d, Conv2d, Flatten, Linear, Sequential } from "../../src/nn/index.ts";
import { readTensors as readGolden, readJson } from "../golden/fixture.ts";
import { fixture } from "../support/paths.ts";
import { op, pickle, type RawEntry, type TensorClaims, tensorOps, zip } from "../support/torch-archive.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manabi-pytorch-"));
});
after(() => rm(folder, { recursive: true }));

const path = (name: string): string => fixture(`pytorch/${name}`);
const network = () => new Sequential(new Conv2d(2, 3, 3), new BatchNorm2d(3), new Flatten(), new Linear(12, 2));

describe("what PyTorch wrote", async () => {
  const options = await readJson<Record<string, { at?: string; prefix?: string }>>("pytorch.json");
  const golden = await readGolden("pytorch.safetensors");
  for (const [name, where] of Object.entries(options))
    if (name !== "large")
      test(name, async () => {
        const tensors = await readPytorch(path(`${name}.pth`), where);
        const want = [...golden].flatMap(([key, tensor]) =>
          key.startsWith(`${name}/`) ? [[key.slice(name.length + 1), tensor] as const] : [],
        );
        assert.ok(want.length > 0);
        assert.deepEqual([...tensors.keys()].sort(), want.map(([key]) => key).sort());
        for (const [key, tensor] of want) assert.deepEqual(tensors.get(key), tensor, key);
      });

  test("a state dict loads strictly into the model of the same layers", async () => {
    const model = network();
    const report = model.loadStateDict(await readTensors(path("plain.pth")));
    assert.deepEqual(report, { missing: [], unexpected: [], misshapen: [] });
    assert.deepEqual((await model.stateDict().get("3.bias")?.host())?.data, golden.get("plain/3.bias")?.data);
  });

  test("tensors are read one by one, with dtype and shape known before; halves are widened when asked", async () => {
    const file = await openPytorch(path("dtypes.pth"));
    const { dtype, shape } = file.info("bfloat16");
    assert.deepEqual([dtype, shape], ["BF16", [4]]);
    assert.deepEqual((await file.read("float16", { widen: true })).data, Float32Array.of(0, 1, 2, 100));
    await assert.rejects(file.read("float23"), /unknown tensor "float23"; did you mean float16, float32/);
    await file.close();
  });

  test("an int64 that does not fit i32 is refused", async () => {
    await assert.rejects(readPytorch(path("large.pth")), /tensor "x": element 0 is 2147483648, which does not fit i32/);
  });
});

describe("which state dict", () => {
  test("several: the error lists them; one that is not there, too", async () => {
    const file = path("nested.pth");
    const choice = /choose one of its state dicts with \{ at \}: "model" \(9 tensors\), "ema.average" \(9 tensors\)/;
    await assert.rejects(readPytorch(file), choice);
    await assert.rejects(readPytorch(file, { at: "modle" }), /no state dict at "modle"; it has "model" \(9 tensors\)/);
    assert.ok((await readPytorch(file, { at: "ema.average" })).has("0.weight"));
  });

  test("a prefix is removed; where it is not on every name that is an error", async () => {
    assert.ok((await readPytorch(path("nested.pth"), { at: "model" })).has("module.0.weight"));
    const wrong = readPytorch(path("plain.pth"), { prefix: "module." });
    await assert.rejects(wrong, /the name "0.weight" does not begin with the prefix "module."/);
  });

  test("a model tells which prefix is in the way", async () => {
    const state = await readPytorch(path("nested.pth"), { at: "model" });
    assert.throws(() => network().loadStateDict(state), /read the file with \{ prefix: "module\." \}/);
  });

  test("a file without any says so", async () => {
    const empty = archive(op.dict({ epoch: op.int(3) }));
    await assert.rejects(parsePytorch(empty), /there is no state dict/);
  });
});

describe("what is refused, with the cure", () => {
  test("a pickled module names what it would call", async () => {
    const error = /it would call torch\.nn\.modules\.linear\.Linear.*torch\.save\(model\.state_dict\(\), path\)/;
    await assert.rejects(readPytorch(path("module.pth")), error);
  });
  test("a pickle of something else", async () => {
    await assert.rejects(parsePytorch(buffer(pickle(op.int(1), [0x2e], op.int(2)))), /the pickle is truncated/);
    const five = Buffer.concat(Array.from({ length: 5 }, () => pickle(op.int(1))));
    await assert.rejects(parsePytorch(buffer(five)), /a pickle, but not one of torch\.save/);
  });
  test("TorchScript", () => assert.rejects(readPytorch(path("script.pt")), /TorchScript.*torch\.jit\.load/));
  test("a compressed archive", () => assert.rejects(readPytorch(path("compressed.pth")), /is compressed/));
  test("something else", async () => {
    await assert.rejects(parsePytorch(new ArrayBuffer(0)), /no file of torch\.save/);
    await assert.rejects(readPytorch(path("missing.pth")), /no such file/);
  });
  test("options of torch files for safetensors", async () => {
    const file = join(folder, "x.safetensors");
    await writeSafetensors(file, { x: { dtype: "f32", shape: [1], data: Float32Array.of(1) } });
    assert.ok((await readTensors(file)).has("x"));
    await assert.rejects(readTensors(file, { at: "model" }), /are for files of torch\.save/);
  });
});

const storage: RawEntry = { name: "a/data/0", bytes: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer) };

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const archive = (body: readonly number[], ...entries: RawEntry[]): ArrayBuffer =>
  buffer(zip([{ name: "a/data.pkl", bytes: pickle(body) }, storage, ...entries]));
const holding = (claims: Partial<TensorClaims>): ArrayBuffer =>
  archive(op.dict({ x: tensorOps({ shape: [6], strides: [1], ...claims }) }));

describe("hostile pickles", () => {
  const refused = (title: string, bytes: ArrayBuffer, error: RegExp) =>
    test(title, () => assert.rejects(parsePytorch(bytes), { name: "FormatError", message: error }));

  test("the archive that the tests below spoil is sound", async () => {
    assert.deepEqual((await parsePytorch(holding({}))).get("x")?.data, Float32Array.of(0, 1, 2, 3, 4, 5));
  });
  for (const [module, name] of [
    ["os", "system"],
    ["builtins", "eval"],
    ["__builtin__", "getattr"],
    ["torch", "load"],
  ])
    refused(
      `${module}.${name}`,
      archive(op.reduce(op.global(module, name), op.tuple(op.text("x")))),
      new RegExp(`it would call ${module}\\.${name}`),
    );
  refused(
    "a storage class is called",
    archive(op.reduce(op.global("torch", "FloatStorage"), op.tuple())),
    /would call/,
  );
  refused("a name from the prototype chain", archive(op.global("constructor", "name")), /would call constructor\.name/);
  refused("toString as a name", archive(op.global("", "toString")), /would call/);
  refused("a call of a text", archive(op.reduce(op.text("os"), op.tuple())), /calls something that is no name/);
  for (const [code, what] of [
    [0x81, "NEWOBJ"],
    [0x92, "NEWOBJ_EX"],
    [0x93, "STACK_GLOBAL"],
    [0x69, "INST"],
  ] as const)
    refused(what, archive([code]), new RegExp(`opcode 0x${code.toString(16)} is not among`));
  refused("another protocol", buffer(zip([{ name: "a/data.pkl", bytes: Uint8Array.of(0x80, 4, 0x2e) }])), /protocol 4/);
  refused("attributes of a tensor", archive([...tensorOps({ shape: [1], strides: [1] }), 0x7d, 0x62]), /no dict/);
  refused("items of a list", archive([0x5d, ...op.text("a"), ...op.none, 0x73]), /items are set on something/);
  refused("an empty stack", archive([0x75]), /no mark/);
  refused("a mark taken for a value", archive([0x28, 0x85]), /stack holds too little/);
  refused("an unknown memory", archive([0x68, 7]), /nothing was remembered under 7/);
  refused("a text that claims 4 GB", archive([0x58, 0xff, 0xff, 0xff, 0xff]), /truncated/);
  refused("no end", buffer(zip([{ name: "a/data.pkl", bytes: Uint8Array.of(0x80, 2, 0x7d) }])), /truncated/);
  refused("a persistent id of a text", archive([...op.text("x"), 0x51]), /a storage that is damaged/);

  refused("a view beyond its storage", holding({ offset: 1 }), /reaches outside of its storage/);
  refused("a stride beyond its storage", holding({ shape: [3], strides: [3] }), /reaches outside/);
  refused("a negative offset", holding({ offset: -1 }), /a tensor that is damaged/);
  refused("a negative stride", holding({ strides: [-1], offset: 5 }), /a tensor that is damaged/);
  refused("strides for other axes", holding({ shape: [2, 3] }), /not one stride per axis/);
  refused("a few bytes that claim terabytes", holding({ shape: [2 ** 40], strides: [0] }), /expanded to more elements/);
  refused("a size beyond all numbers", holding({ shape: [2 ** 30, 2 ** 30], strides: [0, 0] }), /reaches outside/);
  refused("a storage longer than its bytes", holding({ length: 7 }), /takes more than the 24 bytes/);
  refused("a storage that is not there", holding({ key: "1" }), /storage "1" of tensor "x" is not in the archive/);
  refused("a storage outside of the archive", holding({ key: "../0" }), /is not in the archive/);
  refused("an unknown storage class", holding({ storage: "QInt8Storage" }), /would call torch\.QInt8Storage/);

  test("dicts that refer to each other many times, and to themselves, are looked into once", async () => {
    // Forty dicts, each with the one before twice: 2^40 paths.
    let body = op.dict({ x: tensorOps({ shape: [1], strides: [1] }) });
    for (let i = 0; i < 40; i++) body = [...body, 0x71, i, ...op.dict({ a: [0x68, i], b: [0x68, i] })];
    // The earlier dicts stay on the stack below; the last one is the result.
    await assert.rejects(parsePytorch(archive(body)), /there is no state dict/);
    const loop = [0x7d, 0x71, 0, ...op.text("self"), 0x68, 0, 0x73];
    await assert.rejects(parsePytorch(archive(loop)), /there is no state dict/);
  });
});

describe("hostile archives", () => {
  const sound = { name: "a/data.pkl", bytes: pickle(op.dict({ x: tensorOps({ shape: [6], strides: [1] }) })) };
  const refused = (title: string, bytes: Uint8Array, error: RegExp) =>
    test(title, () => assert.rejects(parsePytorch(buffer(bytes)), { name: "FormatError", message: error }));
  const withStorage = (claims: RawEntry["claims"]) => zip([sound, { ...storage, claims }]);

  test("zip64 is read", async () => {
    for (const bytes of [zip([sound, { ...storage, wide: true }]), zip([sound, storage], { wide: true })])
      assert.equal((await parsePytorch(buffer(bytes))).get("x")?.data[5], 5);
  });
  refused("no pickle", zip([storage]), /has no data\.pkl/);
  refused("an entry longer than the file", withStorage({ length: 2 ** 31 }), /beyond \d+, where the next part begins/);
  refused("an entry outside of the file", withStorage({ offset: 2 ** 31 }), /lies outside of the file/);
  refused("an entry that overlaps", withStorage({ offset: 0 }), /beyond 0, where the next part begins/);
  refused("an entry without a header", withStorage({ offset: 3 }), /has no header at byte 3|beyond 3/);
  refused("an encrypted entry", withStorage({ flags: 1 }), /is encrypted/);
  refused("a compressed entry", withStorage({ method: 8 }), /is compressed/);
  refused("a name twice", zip([sound, storage, storage]), /has the entry "a\/data\/0" twice/);
  refused("big-endian values", zip([sound, storage, { name: "a/byteorder", bytes: Buffer.from("big") }]), /"big"/);
  refused(
    "a wide entry beyond 2^53",
    zip([sound, { ...storage, wide: true, claims: { length: 2 ** 60 } }]),
    /impossible/,
  );

  test("every truncation is an error, of a kind that says so", async () => {
    const whole = zip([sound, storage]);
    for (let length = 0; length < whole.length; length++)
      await assert.rejects(parsePytorch(buffer(whole.subarray(0, length))), { name: "FormatError" }, `${length} bytes`);
  });

  for (const name of ["single", "legacy"])
    test(`every other byte of ${name}.pth may be damaged: tensors, or an error of ours`, async () => {
      const whole = await readFile(path(`${name}.pth`));
      for (let at = 0; at < whole.length; at += 2) {
        const damaged = Buffer.from(whole);
        damaged[at] ^= 0x5a;
        try {
          await parsePytorch(buffer(damaged));
        } catch (error) {
          assert.match((error as Error).name, /^(FormatError|ManabiError)$/, `byte ${at}: ${error}`);
        }
      }
    });

  test("every truncation of a legacy file", async () => {
    const whole = await readFile(path("legacy.pth"));
    for (let length = 0; length < whole.length; length++)
      await assert.rejects(parsePytorch(buffer(whole.subarray(0, length))), { name: "FormatError" }, `${length} bytes`);
  });

  test("a file that becomes shorter while it is open", async () => {
    const file = join(folder, "shrinks.pth");
    await writeFile(file, zip([sound, storage]));
    const open = await openPytorch(file);
    await truncate(file, 10);
    await assert.rejects(open.read("x"), /the file ended at byte/);
    await open.close();
  });
});

test("no fixture is left out", () => {
  assert.equal(readdirSync(path("")).length, 11);
});
