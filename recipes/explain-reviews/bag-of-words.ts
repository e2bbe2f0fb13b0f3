import { type Tensor, tensor } from "manabi";
import type { Dataset, LabelledTexts } from "manabi/data";
import { Dropout, Embedding, Linear, Module } from "manabi/nn";

/** The words of a text in small letters: letters and digits, apostrophes inside of words. */
export const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+(?:['’][\p{L}]+)*/gu) ?? [];

/** Numbers of the words that are known: 0 is nothing, the most frequent word is 1. */
export class Vocabulary {
  readonly words: ReadonlyMap<string, number>;
  /** Words of a text that count; the rest is cut off. */
  readonly length: number;

  /** The `size` most frequent words of some texts; equally frequent ones by the alphabet. */
  constructor(texts: readonly string[], size: number, length: number) {
    const counts = new Map<string, number>();
    for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const frequent = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, size);
    this.words = new Map(frequent.map(([word], i) => [word, i + 1]));
    this.length = length;
  }

  /** Rows of word numbers, filled up with 0: i32 [length] each. */
  encode(text: string): Int32Array<ArrayBuffer> {
    const row = new Int32Array(this.length);
    const known = wordsOf(text).flatMap((word) => this.words.get(word) ?? []);
    row.set(known.slice(0, this.length));
    return row;
  }

  /** i32 [n, length] */
  encodeAll(texts: readonly string[]): Tensor {
    const rows = new Int32Array(texts.length * this.length);
    for (const [i, text] of texts.entries()) rows.set(this.encode(text), i * this.length);
    return tensor(rows, { shape: [texts.length, this.length] });
  }

  /** Texts as samples: i32 [length], label. */
  dataset({ texts, labels, classes }: LabelledTexts): Dataset {
    const rows = texts.map((text) => this.encode(text));
    return {
      length: texts.length,
      ...{ labels, classes, spec: null },
      get: (index) => [{ dtype: "i32", shape: [this.length], data: rows[index] }, labels[index]],
      describe: (index) => `text ${index}`,
    };
  }
}

/** The mean of the vectors of a text's words, and a linear layer (Joulin et al. 2017, "Bag of Tricks for Efficient Text
 *  Classification"): i32 [b, length] -> logits [b, classes]. The order of words does not matter to it. */
export class BagOfWords extends Module {
  embedding: Embedding;
  classifier: Linear;
  dropout: Dropout;

  constructor(vocabulary: number, width: number, classes: number, drop: number) {
    super();
    this.embedding = new Embedding(vocabulary + 1, width, { paddingIdx: 0 });
    this.classifier = new Linear(width, classes);
    this.dropout = new Dropout(drop);
  }

  forward(x: Tensor): Tensor {
    const counts = x.ne(0).cast("f32").sum(1, { keepDims: true }).maximum(1); // [b, 1]
    const mean = this.embedding.forward(x).sum(1).div(counts); // [b, width]
    return this.classifier.forward(this.dropout.forward(mean));
  }
}
