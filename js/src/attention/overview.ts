import type { Layer } from "./layer.js";

/** Tokens per cell of an overview at most `size` cells long. */
export const cellSpan = (tokens: number, size: number): number => Math.max(1, Math.ceil(tokens / size));

/** Folds rows into the largest weight of each cell; NaN where no row of the cell saw a key of it. */
export class Overview {
  readonly shape: [number, number];
  readonly cells: Float32Array;
  #tall: number;
  #wide: number;
  #row: Float32Array;

  constructor(
    readonly layer: Layer,
    readonly head: number,
    size: number,
  ) {
    this.#tall = cellSpan(layer.queries, size);
    this.#wide = cellSpan(layer.keys, size);
    this.shape = [Math.ceil(layer.queries / this.#tall), Math.ceil(layer.keys / this.#wide)];
    this.cells = new Float32Array(this.shape[0] * this.shape[1]).fill(Number.NaN);
    this.#row = new Float32Array(layer.keys);
  }

  add(query: number): void {
    this.layer.weights(this.head, query, this.#row);
    const start = Math.floor(query / this.#tall) * this.shape[1];
    for (let key = 0; key < this.#row.length; key++) {
      const weight = this.#row[key] as number;
      const cell = start + Math.floor(key / this.#wide);
      if (!(weight <= (this.cells[cell] as number)) && !Number.isNaN(weight)) this.cells[cell] = weight;
    }
  }
}
