import { type Axis, textAt } from "../attention/axis.js";
import { clamp } from "../basics.js";

export type Direction = "ascending" | "descending";

export interface Sorting {
  /** A column of numbers by its place, or what the rows are called by. */
  by: "position" | "token" | number;
  direction: Direction;
}

const MOST_ROWS = 200;
const CELLS = 4_000;

/** The more columns, the fewer rows, so that a table follows the pointer. */
export const rowsThatFit = (columns: number): number => clamp(Math.floor(CELLS / columns), 50, MOST_ROWS);

/** Which rows are shown, in which order, and of how many: those with the largest numbers, for or against. */
export function orderRows(
  axis: Axis,
  columns: readonly (Float32Array | undefined)[],
  { by, direction }: Sorting,
  { special, signed, most }: { special: boolean; signed: boolean; most: number },
): { shown: number[]; of: number } {
  const chosen = typeof by === "number" ? [columns[by]] : columns;
  const held = chosen.filter((values) => values !== undefined);
  const size = (value: number) => (signed ? Math.abs(value) : value);
  const strength = Float64Array.from(axis.units, (_, at) =>
    held.reduce((best, values) => {
      const value = values[at] as number;
      return Number.isNaN(value) ? best : Math.max(best, size(value));
    }, Number.NEGATIVE_INFINITY),
  );
  const rows = [...axis.units.keys()].filter((at) => special || !axis.units[at]?.special);
  const strongest = (a: number, b: number) => after(strength[a] as number, strength[b] as number) || a - b;
  const shown = rows.length > most ? [...rows].sort(strongest).slice(0, most) : rows;
  const turn = direction === "ascending" ? 1 : -1;
  const values = typeof by === "number" ? columns[by] : undefined;
  return { shown: shown.sort(compare), of: rows.length };

  function compare(a: number, b: number): number {
    if (by === "position") return turn * (a - b);
    if (by === "token") return turn * textAt(axis, a).localeCompare(textAt(axis, b)) || a - b;
    const [left, right] = [values?.[a] ?? Number.NaN, values?.[b] ?? Number.NaN];
    // Rows without a number stand last either way.
    if (Number.isNaN(left) || Number.isNaN(right))
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
    return turn * -after(left, right) || a - b;
  }
}

const after = (a: number, b: number): number => (a === b ? 0 : a > b ? -1 : 1);
