import type { ReadonlySignal } from "@preact/signals-core";
import type { Domain } from "../attention/strength.js";
import type { Context } from "../context.js";
import type { Series } from "../data.js";
import type { Grain, Visible } from "../draw/heatmap.js";
import { Cells } from "./cells.js";
import { unitsIn } from "./compare-align.js";
import type { Second } from "./compare-second.js";

export type PaneName = "a" | "b" | "change";

export type Reader = (row: number, column: number) => number | undefined;

const NOTHING: Reader = () => undefined;

/** The numbers of both captures and their difference, by places of the two texts together. */
export class CompareNumbers {
  domains: { both: Domain; change: Domain } = { both: { least: 0, most: 1 }, change: { least: -1, most: 1 } };
  signed = false;
  exact = true;
  grain: Grain = [1, 1];
  readonly readers: Record<PaneName, Reader> = { a: NOTHING, b: NOTHING, change: NOTHING };
  readonly #cells: { a: Cells; b: Cells };

  constructor(
    context: Context,
    readonly second: ReadonlySignal<Second>,
    changed: () => void,
  ) {
    this.#cells = { a: new Cells(context, changed), b: new Cells(second.peek().context, changed) };
  }

  /** What is seen of one capture, in its own units. */
  #own(side: "a" | "b", seen: Visible): Visible {
    const { queries, keys } = this.second.value;
    const [top, bottom] = unitsIn(queries, side, seen.top, seen.bottom);
    const [left, right] = unitsIn(keys, side, seen.left, seen.right);
    return { top, bottom, left, right };
  }

  read(series: Series, comparable: boolean, seen: Visible): void {
    const { queries, keys } = this.second.value;
    const own = { a: this.#own("a", seen), b: this.#own("b", seen) };
    const sides = comparable ? (["a", "b"] as const) : (["a"] as const);
    this.exact = sides.every((side) => this.#cells[side].isExact(own[side]));
    this.signed = this.#cells.a.signed(own.a);
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const side of sides) {
      const cells = this.#cells[side];
      cells.request(series, own[side]);
      const read = cells.reader(series, own[side]);
      const { domain } = cells.scale(series, own[side]);
      least = Math.min(least, domain.least);
      most = Math.max(most, domain.most);
      this.readers[side] = (row, column) => {
        const [down, right] = [queries.slots[row]?.[side] ?? null, keys.slots[column]?.[side] ?? null];
        return down === null || right === null ? undefined : read(down, right);
      };
    }
    if (!comparable) this.readers.b = () => undefined;
    const { a, b } = this.readers;
    this.readers.change = (row, column) => {
      const [one, two] = [a(row, column), b(row, column)];
      return one === undefined || two === undefined ? undefined : two - one;
    };
    this.grain = this.exact ? [1, 1] : this.#coarsest(sides, own);
    const reach = this.#reach(seen);
    this.domains = { both: { least, most }, change: { least: -reach, most: reach } };
  }

  /** How many places may be taken as one without leaving out a cell of either overview. */
  #coarsest(sides: readonly ("a" | "b")[], own: Record<"a" | "b", Visible>): Grain {
    const grains = sides.map((side) => this.#cells[side].grain(own[side]));
    return [Math.min(...grains.map(([tall]) => tall)), Math.min(...grains.map(([, wide]) => wide))];
  }

  /** The largest difference on the screen. */
  #reach(seen: Visible): number {
    const [down, right] = this.grain;
    let reach = 1e-9;
    for (let row = seen.top; row < seen.bottom; row += down)
      for (let column = seen.left; column < seen.right; column += right) {
        const size = Math.abs(this.readers.change(row, column) ?? 0);
        if (size > reach) reach = size;
      }
    return reach;
  }
}
