import { concat, oneHot, relu, type Tensor, tensor } from "manabi";
import type { LabelledTable } from "manabi/data";
import { type Buffer, buffer, Linear, Module } from "manabi/nn";

/** Two hidden layers on a table: rows f32 [b, columns] as they are -> logits [b, classes]. Numbers are scaled inside, so
 *  that the network and a forest can be asked about the same rows, and categories become one number each of 0 or 1. */
export class TableNet extends Module {
  mean: Buffer; // [columns]
  deviation: Buffer; // [columns]
  hidden1: Linear;
  hidden2: Linear;
  head: Linear;
  /** How many categories each column has; 0 for numbers. */
  readonly categories: readonly number[];

  constructor({ columns, rows, classes }: LabelledTable, width: number) {
    super();
    const mean = columns.map((_, c) => rows.reduce((sum, row) => sum + row[c], 0) / rows.length);
    const spread = columns.map((_, c) =>
      Math.sqrt(rows.reduce((sum, row) => sum + (row[c] - mean[c]) ** 2, 0) / rows.length),
    );
    this.mean = buffer([columns.length], () => Float32Array.from(mean));
    this.deviation = buffer([columns.length], () => Float32Array.from(spread, (value) => value || 1));
    this.categories = columns.map(({ categories }) => categories?.length ?? 0);
    const inputs = this.categories.reduce((sum, count) => sum + (count || 1), 0);
    this.hidden1 = new Linear(inputs, width);
    this.hidden2 = new Linear(width, width);
    this.head = new Linear(width, classes.length);
  }

  forward(x: Tensor): Tensor {
    const scaled = x.sub(this.mean).div(this.deviation);
    const parts = this.categories.map((count, c) =>
      count === 0 ? scaled.slice(1, c, c + 1) : oneHot(x.select(1, c).cast("i32"), count),
    );
    return this.head.forward(relu(this.hidden2.forward(relu(this.hidden1.forward(concat(parts, 1))))));
  }
}

/** Rows of a table as the network takes them, f32 [n, columns]. */
export const rowsTensor = (rows: readonly ArrayLike<number>[]): Tensor =>
  tensor(
    rows.map((row) => Array.from(row)),
    { dtype: "f32" },
  );
