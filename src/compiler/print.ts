import type { Expr } from "./expr.ts";
import type { Idx, LoopVar } from "./idx.ts";
import type { Buffer, Instruction } from "./instruction.ts";
import type { Kernel } from "./kernel.ts";

/** Instructions as text, one a line, kernels with their loops and expressions; names are relative to the program. */
export function printSchedule(instructions: readonly Instruction[]): string {
  const printer = new Printer();
  printer.list(instructions, "");
  return printer.lines.join("\n");
}

/** A stand-in for what has no buffer in the program. */
const rowValue = (): Buffer => ({ size: 0, dtype: "u8", place: { kind: "temp" } });

class Printer {
  readonly lines: string[] = [];
  private readonly buffers = new Map<Buffer, string>();
  private readonly vars = new Map<LoopVar, string>();

  list(instructions: readonly Instruction[], indent: string): void {
    for (const i of instructions) {
      switch (i.kind) {
        case "copy":
          this.lines.push(`${indent}copy ${this.buffer(i.to)} <- ${this.buffer(i.from)}`);
          break;
        case "op": {
          const names = i.buffers.map((b, at) => this.buffer(b) + (i.offsets[at] ? `+${i.offsets[at]}` : ""));
          this.lines.push(
            `${indent}${names.at(-1)} = ${i.name}(${names.slice(0, -1).join(", ")}; ${i.params.join(" ")})`,
          );
          if (i.epilogue) this.kernel(i.epilogue.kernel, i.epilogue.buffers, `${indent}  then `);
          break;
        }
        case "loop":
          this.lines.push(`${indent}loop ${i.count} {`);
          this.list(i.body, `${indent}  `);
          this.lines.push(`${indent}}`);
          break;
        case "kernel":
          this.kernel(i.kernel, i.buffers, indent);
      }
    }
  }

  private kernel({ axes, stores, buffers: own }: Kernel, buffers: readonly Buffer[], indent: string): void {
    const loops = (list: readonly LoopVar[]) => list.map((v) => `${this.variable(v)}<${v.size}`).join(" ") || "1";
    const rows = stores[0].inner !== undefined;
    const all = [...buffers, ...own.slice(buffers.length).map(() => rowValue())];
    if (rows) this.lines.push(`${indent}rows ${loops(axes)} {`);
    for (const s of stores)
      this.lines.push(
        `${indent}${rows ? "  " : ""}for ${loops(s.inner ?? axes)}: ${this.buffer(all[s.buffer])}[${this.index(s.index, all)}] = ${this.expr(s.value, all)}`,
      );
    if (rows) this.lines.push(`${indent}}`);
  }

  private buffer(b: Buffer): string {
    const { place } = b;
    if (place.kind === "input") return `in${place.index}`;
    if (place.kind === "output") return `out${place.index}`;
    if (place.kind === "slice") return `${this.buffer(place.of)}${place.reverse ? "[-i]" : "[i]"}`;
    let name = this.buffers.get(b);
    if (!name) {
      name = `${place.kind === "temp" ? "t" : place.kind}${this.buffers.size}`;
      this.buffers.set(b, name);
    }
    return name;
  }

  private variable(v: LoopVar): string {
    let name = this.vars.get(v);
    if (!name) {
      name = `i${this.vars.size}`;
      this.vars.set(v, name);
    }
    return name;
  }

  private index(x: Idx, buffers: readonly Buffer[]): string {
    const terms = x.terms.map(({ atom, coef }) => {
      const a =
        atom.kind === "var"
          ? this.variable(atom.v)
          : atom.kind === "ref"
            ? `at(${this.expr(atom.at, buffers)}, ${atom.size})`
            : `(${this.index(atom.of, buffers)})${atom.kind === "div" ? "/" : "%"}${atom.by}`;
      return coef === 1 ? a : `${coef}*${a}`;
    });
    if (x.offset !== 0 || terms.length === 0) terms.push(String(x.offset));
    return terms.join("+");
  }

  private expr(e: Expr, buffers: readonly Buffer[]): string {
    const go = (x: Expr) => this.expr(x, buffers);
    switch (e.op) {
      case "const":
        return `${e.value}`;
      case "load":
        return `${this.buffer(buffers[e.buffer])}[${this.index(e.index, buffers)}]`;
      case "index":
        return `${e.dtype}(${this.index(e.index, buffers)})`;
      case "call":
        return `${e.name === "cast" ? e.dtype : e.name}(${e.args.map(go).join(", ")})`;
      case "guard": {
        const tests = e.tests.map((t) => `${t.lo}<=${this.index(t.index, buffers)}<${t.hi}`);
        return `(${tests.join(" & ")} ? ${go(e.value)} : ${go(e.other)})`;
      }
      case "reduce":
        return `${e.kind}{${e.axes.map((v) => `${this.variable(v)}<${v.size}`).join(" ")}}(${go(e.body)})`;
      case "random":
        return `threefry(${e.state.map(go).join(", ")}; ${this.index(e.index, buffers)})`;
    }
  }
}
