import type { Axis } from "../attention/axis.js";
import { clamp, range } from "../basics.js";
import { bar, type HeatFrame, visibleCells } from "../draw/heatmap.js";
import type { Palette } from "../draw/palette.js";
import type { Span } from "../protocol.js";
import { shown } from "../text.js";

export interface Marks {
  row: number | null;
  column: number | null;
}

const LEAST = 10;
/** Between the numbers that stand for tokens where there is no room for all of them. */
const APART = 22;

/** As much of a text as there is room for. */
export function clip(pen: CanvasRenderingContext2D, text: string, room: number): string {
  if (pen.measureText(text).width <= room) return text;
  const chars = [...text];
  while (chars.length > 1 && pen.measureText(`${chars.join("")}…`).width > room) chars.pop();
  return `${chars.join("")}…`;
}

const crowded = (at: number, mark: number | null, cell: number) =>
  mark !== null && at !== mark && cell < LEAST && Math.abs(at - mark) * cell < 16;

/** Label every token, or, where there is no room for that, those at round numbers. */
export function strideFor(cell: number): number {
  if (cell >= LEAST) return 1;
  const power = 10 ** Math.floor(Math.log10(APART / cell));
  return power * ([1, 2, 5].find((step) => step * power * cell >= APART) ?? 10);
}

/** The round number a unit holds, or its place if all are labelled; null for one without a label. */
export function tickAt(axis: Axis, at: number, stride: number): number | null {
  const { from, to } = axis.units[at] ?? { from: at, to: at + 1 };
  const tick = Math.ceil(from / stride) * stride;
  return tick < to ? tick : null;
}

/** The places between two that may have a label: every one, or those of round numbers and the marked one. */
function candidates(axis: Axis, [from, to]: Span, stride: number, mark: number | null): Iterable<number> {
  if (stride <= 1) return range(from, to);
  const found = new Set<number>();
  const [first, last] = [axis.units[from]?.from ?? 0, axis.units[to - 1]?.to ?? 0];
  for (let tick = Math.ceil(first / stride) * stride; tick < last; tick += stride)
    found.add(axis.unitOf[tick] as number);
  if (mark !== null && mark >= from && mark < to) found.add(mark);
  return found;
}

export function paintLabels(
  pen: CanvasRenderingContext2D,
  frame: HeatFrame,
  [queries, keys]: readonly [Axis, Axis],
  marks: Marks,
  palette: Palette,
  rows = true,
): void {
  const seen = visibleCells(frame);
  const size = clamp(frame.cell * 0.8, 9, 12);
  const font = (bold: boolean) => `${bold ? "600 " : ""}${size.toFixed(1)}px system-ui, sans-serif`;
  const all = frame.cell >= LEAST;
  const strideOf = (axis: Axis) => (all ? 1 : strideFor((frame.cell * axis.units.length) / axis.length));
  /** What a place is labelled with; empty for nothing. */
  const label = (axis: Axis, at: number, mark: number | null): string => {
    const unit = axis.units[at];
    const stride = strideOf(axis);
    const tick = tickAt(axis, at, stride);
    if (at !== mark && (tick === null || crowded(at, mark, frame.cell))) return "";
    pen.font = font(at === mark);
    pen.fillStyle = unit?.special && at !== mark ? palette.faint : palette.ink;
    return all || at === mark ? shown(unit?.text ?? "") : String(tick);
  };
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  const down: Span = [seen.top, rows ? seen.bottom : seen.top];
  for (const row of candidates(queries, down, strideOf(queries), marks.row)) {
    const y = frame.y + (row + 0.5 - frame.top) * frame.cell;
    if (y < frame.y || y > frame.y + frame.height) continue;
    const text = label(queries, row, marks.row);
    if (text) pen.fillText(clip(pen, text, frame.x - 12), frame.x - 6, y);
  }
  pen.textAlign = "left";
  for (const column of candidates(keys, [seen.left, seen.right], strideOf(keys), marks.column)) {
    const x = frame.x + (column + 0.5 - frame.left) * frame.cell;
    if (x < frame.x || x > frame.x + frame.width) continue;
    const text = label(keys, column, marks.column);
    if (!text) continue;
    pen.save();
    pen.translate(x, frame.y - 6);
    pen.rotate(-Math.PI / 3);
    pen.fillText(clip(pen, text, frame.y * 1.02), 0, 0);
    pen.restore();
  }
}

/** Bars to the right of the rows and below the columns. */
export function paintTotals(
  pen: CanvasRenderingContext2D,
  frame: HeatFrame,
  rows: (row: number) => number,
  columns: ((column: number) => number) | null,
  palette: Palette,
): void {
  const seen = visibleCells(frame);
  const color = palette.ramp[2] ?? [0, 0, 0];
  const thick = clamp(frame.cell * 0.5, 1, 10);
  const room = 26;
  pen.fillStyle = bar(color);
  for (let row = seen.top; row < seen.bottom; row++) {
    const y = frame.y + (row + 0.5 - frame.top) * frame.cell;
    if (y < frame.y || y > frame.y + frame.height) continue;
    pen.fillRect(frame.x + frame.width + 6, y - thick / 2, room * Math.min(1, rows(row)), thick);
  }
  if (!columns) return;
  let most = 1e-9;
  for (let column = 0; column < frame.columns; column++) most = Math.max(most, columns(column));
  for (let column = seen.left; column < seen.right; column++) {
    const x = frame.x + (column + 0.5 - frame.left) * frame.cell;
    if (x < frame.x || x > frame.x + frame.width) continue;
    pen.fillRect(x - thick / 2, frame.y + frame.height + 6, thick, (room * columns(column)) / most);
  }
}
