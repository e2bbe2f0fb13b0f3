/** What a user sees of bf16 and f16: values in and out, promotion, random numbers, programs, models, files. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import * as m from "../../src/index.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/index.ts";
import { BatchNorm1d, Dropout, initialize, Linear, Module, Sequential } from "../../src/nn/index.ts";
import { adamW, ema, optimizer, sgd } from "../../src/optim/index.ts";

const f32s = (...values: number[]) => Float32Array.from(values);

class Net extends Module {
  readonly layers = new Sequential(new Linear(4, 8), new BatchNorm1d(8), new Dropout(0.1), new Linear(8, 2));
  forward(x: m.Tensor): m.Tensor {
    return this.layers.forward(x);
  }
}

for (const { name, works, dtypes } of backendStatus())
  describe(`16-bit floats on ${name}`, { skip: !works || !dtypes.has("bf16") }, () => {
    before(() => setBackend(name));

    test("numbers are rounded to nearest even on the way in and are numbers on the way out", async () => {
      const x = m.tensor([0.1, 1 / 3, 257, 259, -65519.9, 65520], { dtype: "bf16" });
      assert.deepEqual(await x.data(), f32s(0.10009765625, 0.333984375, 256, 260, -65536, 65536));
      const y = m.tensor([0.1, 1 / 3, 2049, 2051, -65519.9, 65520, 1e-8], { dtype: "f16" });
      assert.deepEqual(await y.data(), f32s(0.0999755859375, 0.333251953125, 2048, 2052, -65504, Infinity, 0));
      assert.equal(await m.tensor(1.005, { dtype: "bf16" }).item(), 1.0078125);
      assert.deepEqual(await m.tensor(f32s(0.1), { dtype: "bf16" }).data(), f32s(0.10009765625));
      // Patterns are held as they are, and given as they are.
      const patterns = Uint16Array.of(0x3f80, 0xc040);
      assert.deepEqual(await m.tensor(patterns, { dtype: "bf16" }).data(), f32s(1, -3));
      const host = await m.tensor([1, -3], { dtype: "bf16" }).host();
      assert.deepEqual(host, { dtype: "bf16", shape: [2], data: patterns });
      assert.deepEqual(await m.fromHost(host).data(), f32s(1, -3));
      assert.equal(String(x), "Tensor(bf16[6])");
    });

    test("every operation rounds, sums round once", async () => {
      const x = m.tensor([256, 1, 1], { dtype: "bf16" });
      assert.equal(await x.sum().item(), 258);
      assert.equal(
        await x
          .slice(0, 0, 1)
          .add(x.slice(0, 1, 2))
          .add(x.slice(0, 2))
          .sum()
          .item(),
        256,
      );
      const big = m.tensor([60000, 60000], { dtype: "f16" });
      assert.equal(await big.sum().item(), Infinity);
      assert.equal(await big.mean().item(), 60000);
      assert.equal(await m.ones([100_000], { dtype: "bf16" }).cumsum(0).max().item(), 99840);
      assert.equal(
        await m
          .ones([1 << 17], { dtype: "bf16" })
          .add(0)
          .sum()
          .item(),
        1 << 17,
      );
    });

    test("promotion, comparison, integers", async () => {
      const [b, h] = [m.tensor([1.5], { dtype: "bf16" }), m.tensor([1.5], { dtype: "f16" })];
      assert.equal(b.add(h).dtype, "f32");
      assert.equal(b.add(m.tensor([1])).dtype, "f32");
      assert.equal(b.add(m.tensor([1], { dtype: "i32" })).dtype, "bf16");
      assert.equal(b.mul(0.1).dtype, "bf16");
      assert.equal(b.div(3).dtype, "bf16");
      assert.deepEqual([...(await b.eq(h).data())], [1]);
      assert.deepEqual([...(await m.tensor([-2.7, 300.2, NaN], { dtype: "f16" }).cast("u8").data())], [0, 255, 0]);
      assert.deepEqual([...(await m.tensor([3, 1, 2], { dtype: "bf16" }).argsort(0).data())], [1, 2, 0]);
      assert.deepEqual([...(await m.tensor([3, NaN, 2], { dtype: "bf16" }).argmax(0).data())], [1]);
    });

    test("ranges and random numbers", async () => {
      assert.deepEqual([...(await m.arange(0, 300, 100, { dtype: "bf16" }).data())], [0, 100, 200]);
      assert.deepEqual([...(await m.linspace(0, 1, 3, { dtype: "f16" }).data())], [0, 0.5, 1]);
      for (const dtype of ["f16", "bf16"] as const) {
        const uniform = (await new m.Generator(1).uniform([20000], { dtype }).data()) as Float32Array;
        assert.ok(uniform.every((u) => u >= 0 && u < 1));
        assert.ok(Math.abs(uniform.reduce((a, b) => a + b) / 20000 - 0.5) < 0.01);
        const normal = (await new m.Generator(1).normal([20000], { dtype }).data()) as Float32Array;
        const squares = normal.reduce((a, b) => a + b * b, 0) / 20000;
        assert.ok(Math.abs(squares - 1) < 0.05, `${squares}`);
      }
    });

    test("variables of a jitted function are assigned in 16 bits", () => {
      const total = m.variable(m.tensor([0, 256], { dtype: "bf16" }));
      const step = m.jit((x: m.Tensor) => {
        total.assign(total.add(x));
        return total.mul(2);
      });
      for (let i = 0; i < 3; i++) step(m.tensor([1, 1]));
      assert.deepEqual(total.dataSync(), f32s(3, 256));
      assert.deepEqual(step(m.tensor([1, 4])).dataSync(), f32s(8, 520));
      assert.equal(total.dtype, "bf16");
    });

    test("loops, and sums of their gradients in f32", async () => {
      const xs = m.ones([400, 1], { dtype: "bf16" });
      const w = m.tensor([1], { dtype: "bf16" });
      const last = (w: m.Tensor) =>
        m.scan((h: m.Tensor, x: m.Tensor) => [h.mul(0).add(x.mul(w)), h], m.zeros([1], { dtype: "bf16" }), xs)[1].sum();
      // 399 times 1: in bf16, 256 + 1 is 256.
      assert.equal(await m.grad(last)(w).item(), 400);
    });

    test("a whole model in 16 bits: conversion, steps, averages, state", async () => {
      const model = initialize(new Net(), 1);
      const exact = model.forward(m.ones([3, 4])).dtype;
      const forward = m.jit((x: m.Tensor) => model.forward(x));
      forward(m.ones([3, 4]));
      model.to("bf16");
      assert.deepEqual([...new Set([...model.variables().values()].map((v) => v.dtype))].sort(), ["bf16", "i32"]);
      // The program compiled for f32 no longer fits.
      assert.equal(forward(m.ones([3, 4], { dtype: "bf16" })).dtype, "bf16");
      assert.equal(exact, "f32");

      const [opt, average] = [optimizer(model, adamW({ lr: 1e-3 })), ema(model, 0.999)];
      const x = new m.Generator(2).normal([16, 4], { dtype: "bf16" });
      const step = m.jit(() => {
        const [loss, grads] = m.valueAndGrad(model, (n) => n.forward(x).square().mean());
        for (const g of grads.values()) assert.equal(g.dtype, "bf16");
        opt.update(grads);
        average.update();
        return loss;
      });
      const first = step().itemSync();
      for (let i = 0; i < 60; i++) step();
      assert.ok(step().itemSync() < 0.8 * first);
      // What is smaller than a unit in the last place of the average is not lost.
      assert.equal(
        average.layout().averages && (Object.values(average.layout().averages as object)[0] as { dtype: string }).dtype,
        "f32",
      );
      const own = model.parameters()[0].dataSync();
      await average.apply(() => assert.notDeepEqual(model.parameters()[0].dataSync(), own));
      assert.deepEqual(model.parameters()[0].dataSync(), own);
    });

    test("a file keeps 16 bits, and a model takes them in any dtype", async () => {
      const folder = await mkdtemp(join(tmpdir(), "manabi-half-"));
      try {
        const path = join(folder, "model.safetensors");
        const [source, wide, narrow] = [new Net(), new Net(), new Net()];
        initialize(source, 1).to("f16");
        const hosts = [...source.stateDict()].map(async ([key, t]) => [key, await t.host()] as const);
        await writeSafetensors(path, new Map(await Promise.all(hosts)));
        const state = await readSafetensors(path);
        assert.equal(state.get("layers.0.weight")?.dtype, "f16");
        wide.loadStateDict(state);
        narrow.to("f16").loadStateDict(state);
        const values = source.layers.stateDict().get("0.weight")?.dataSync();
        for (const net of [wide, narrow]) assert.deepEqual(net.layers.stateDict().get("0.weight")?.dataSync(), values);
        assert.equal(wide.parameters()[0].dtype, "f32");
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    test("parameters may start in 16 bits; an optimizer keeps its state in f32", () => {
      const model = initialize(new Linear(3, 2).to("bf16"), 1);
      const wide = initialize(new Linear(3, 2), 1);
      assert.deepEqual(model.weight.dataSync(), wide.weight.cast("bf16").dataSync());
      const opt = optimizer(model, sgd({ lr: 1e-4, momentum: 0.9 }));
      const { slots } = opt.layout() as unknown as { slots: Record<string, Record<string, { dtype: string }>> };
      assert.equal(Object.values(slots.weight)[0].dtype, "f32");
      assert.throws(() => model.to("i32"), /to: parameters are floats, got i32/);
    });
  });
