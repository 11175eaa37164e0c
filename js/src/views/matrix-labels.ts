import type { Axis } from "../attention/axis.js";
import { bar, type HeatFrame, visibleCells } from "../draw/heatmap.js";
import type { Palette } from "../draw/palette.js";
import { shown } from "../text.js";

export interface Marks {
  row: number | null;
  column: number | null;
}

const LEAST = 11;

function clip(pen: CanvasRenderingContext2D, text: string, room: number): string {
  if (pen.measureText(text).width <= room) return text;
  const chars = [...text];
  while (chars.length > 1 && pen.measureText(`${chars.join("")}…`).width > room) chars.pop();
  return `${chars.join("")}…`;
}

const crowded = (at: number, mark: number | null, cell: number) =>
  mark !== null && at !== mark && cell < LEAST && Math.abs(at - mark) * cell < LEAST;

/** Every nth label where cells are too small for all of them. */
const strideFor = (cell: number) => (cell >= LEAST ? 1 : Math.ceil(LEAST / cell));

export function paintLabels(
  pen: CanvasRenderingContext2D,
  frame: HeatFrame,
  [queries, keys]: readonly [Axis, Axis],
  marks: Marks,
  palette: Palette,
): void {
  const seen = visibleCells(frame);
  const size = Math.min(12, Math.max(9, frame.cell * 0.8));
  const font = (bold: boolean) => `${bold ? "600 " : ""}${size.toFixed(1)}px system-ui, sans-serif`;
  const stride = strideFor(frame.cell);
  const paint = (axis: Axis, at: number, marked: boolean) => {
    const unit = axis.units[at];
    pen.font = font(marked);
    pen.fillStyle = unit?.special && !marked ? palette.faint : palette.ink;
    return stride > 1 && !marked ? String(unit?.from ?? at) : shown(unit?.text ?? "");
  };
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (let row = seen.top; row < seen.bottom; row++) {
    const y = frame.y + (row + 0.5 - frame.top) * frame.cell;
    if (
      crowded(row, marks.row, frame.cell) ||
      (row % stride !== 0 && row !== marks.row) ||
      y < frame.y ||
      y > frame.y + frame.height
    )
      continue;
    const text = paint(queries, row, row === marks.row);
    pen.fillText(clip(pen, text, frame.x - 12), frame.x - 6, y);
  }
  pen.textAlign = "left";
  for (let column = seen.left; column < seen.right; column++) {
    const x = frame.x + (column + 0.5 - frame.left) * frame.cell;
    if (
      crowded(column, marks.column, frame.cell) ||
      (column % stride !== 0 && column !== marks.column) ||
      x < frame.x ||
      x > frame.x + frame.width
    )
      continue;
    const text = paint(keys, column, column === marks.column);
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
  const thick = Math.max(1, Math.min(10, frame.cell * 0.5));
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
