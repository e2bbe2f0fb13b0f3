import { add, load, lt, minOf, mul, op } from "../assembler.ts";
import type { Call } from "../call.ts";
import type { Real } from "./real.ts";
import { ceilDiv, defineWork, type Place } from "./work.ts";

const block = 1 << 12;

/** An item is a block of elements. */
const sumParts = (real: Real) =>
  defineWork({
    key: `sum_parts_${real.name}`,
    buffers: ["out"],
    params: ["total", "parts"],
    build(f, _module, w, { begin, end }) {
      const { bytes, lanes, name, shape } = real;
      const partBytes = f.let(mul(w.total, bytes));
      const i = f.let(mul(begin, block));
      const last = f.let(minOf(w.total, mul(end, block)));
      const at = f.local("i32");
      const step = (type: string, plus: string, count: number) => {
        f.set(at, mul(i, bytes));
        const sum = f.let(load(`${type}.load`, add(w.shared, at)));
        const from = f.let(add(w.shared, at));
        f.range(1, w.parts, 1, () => {
          f.set(from, add(from, partBytes));
          f.set(sum, op(plus, sum, load(`${type}.load`, from)));
        });
        f.store(`${type}.store`, add(w.out, at), sum);
        f.set(i, add(i, count));
      };
      f.while(
        () => op("i32.le_s", add(i, lanes), last),
        () => step("v128", `${shape}.add`, lanes),
      );
      f.while(
        () => lt(i, last),
        () => step(name, `${name}.add`, 1),
      );
    },
  });

/** out = the sum of the parts, of `total` elements each, that lie one behind the other in shared memory; added in order. */
export const sumPartsCall = (real: Real, out: Place, total: number, parts: number): Call =>
  sumParts(real)({ buffers: { out }, params: { total, parts }, range: ceilDiv(total, block), grain: 4 });
