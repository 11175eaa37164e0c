import { type Color, css, inkOn, type Palette, rampAt } from "./palette.js";

export interface HeatFrame {
  x: number;
  y: number;
  width: number;
  height: number;
  /** Units at the top left corner, with fractions, and pixels per unit. */
  top: number;
  left: number;
  cell: number;
  rows: number;
  columns: number;
}

/** A value between 0 and 1, NaN where masked, undefined where not here yet. */
export type CellAt = (row: number, column: number) => number | undefined;

export interface Visible {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

export function visibleCells(frame: HeatFrame): Visible {
  return {
    top: Math.max(0, Math.floor(frame.top)),
    bottom: Math.min(frame.rows, Math.ceil(frame.top + frame.height / frame.cell)),
    left: Math.max(0, Math.floor(frame.left)),
    right: Math.min(frame.columns, Math.ceil(frame.left + frame.width / frame.cell)),
  };
}

function parse(hex: string): Color {
  const number = Number.parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

const RAMP = 256;

export function rampTable(palette: Palette): Uint8ClampedArray {
  const table = new Uint8ClampedArray(RAMP * 3);
  for (let at = 0; at < RAMP; at++) table.set(rampAt(palette.ramp, at / (RAMP - 1)), at * 3);
  return table;
}

export function paintHatch(context: CanvasRenderingContext2D, palette: Palette): CanvasPattern | string {
  const tile = document.createElement("canvas");
  tile.width = 6;
  tile.height = 6;
  const pen = tile.getContext("2d");
  if (!pen) return palette.placeholder;
  pen.strokeStyle = palette.hatch;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) {
    pen.moveTo(shift, 6);
    pen.lineTo(shift + 6, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat") ?? palette.placeholder;
}

/** Paints one pixel per cell, or per screen pixel where cells are smaller than that, then scales it up. */
export function paintHeatmap(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  at: CellAt,
  palette: Palette,
): void {
  const seen = visibleCells(frame);
  const step = Math.max(1, Math.floor(1 / frame.cell));
  const wide = Math.ceil((seen.right - seen.left) / step);
  const tall = Math.ceil((seen.bottom - seen.top) / step);
  if (wide <= 0 || tall <= 0) return;
  const image = new ImageData(wide, tall);
  const table = rampTable(palette);
  const blank = parse(palette.placeholder);
  for (let row = 0; row < tall; row++) {
    for (let column = 0; column < wide; column++) {
      const value = largest(at, seen, row * step, column * step, step);
      const place = (row * wide + column) * 4;
      if (value === undefined) image.data.set([...blank, 255], place);
      else if (!Number.isNaN(value)) {
        const entry = Math.round(value * (RAMP - 1)) * 3;
        image.data[place] = table[entry] as number;
        image.data[place + 1] = table[entry + 1] as number;
        image.data[place + 2] = table[entry + 2] as number;
        image.data[place + 3] = 255;
      }
    }
  }
  const picture = document.createElement("canvas");
  picture.width = wide;
  picture.height = tall;
  picture.getContext("2d")?.putImageData(image, 0, 0);

  const x = frame.x + (seen.left - frame.left) * frame.cell;
  const y = frame.y + (seen.top - frame.top) * frame.cell;
  const [right, bottom] = [(seen.right - seen.left) * frame.cell, (seen.bottom - seen.top) * frame.cell];
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.width, frame.height);
  context.clip();
  context.fillStyle = paintHatch(context, palette);
  context.fillRect(x, y, right, bottom);
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, x, y, wide * step * frame.cell, tall * step * frame.cell);
  if (frame.cell >= 9) paintGaps(context, frame, seen, palette);
  context.restore();
}

function paintGaps(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  seen: Visible,
  palette: Palette,
): void {
  context.strokeStyle = palette.ground;
  context.lineWidth = 1;
  context.beginPath();
  for (let row = seen.top; row <= seen.bottom; row++) {
    const y = frame.y + (row - frame.top) * frame.cell;
    context.moveTo(frame.x, y);
    context.lineTo(frame.x + frame.width, y);
  }
  for (let column = seen.left; column <= seen.right; column++) {
    const x = frame.x + (column - frame.left) * frame.cell;
    context.moveTo(x, frame.y);
    context.lineTo(x, frame.y + frame.height);
  }
  context.stroke();
}

/** What is too small to be drawn is stood for by its largest, so that no peak goes missing. */
function largest(at: CellAt, seen: Visible, down: number, right: number, step: number): number | undefined {
  if (step === 1) return at(seen.top + down, seen.left + right);
  let found: number | undefined;
  for (let row = seen.top + down; row < Math.min(seen.bottom, seen.top + down + step); row++) {
    for (let column = seen.left + right; column < Math.min(seen.right, seen.left + right + step); column++) {
      const value = at(row, column);
      if (
        value !== undefined &&
        !(value <= (found ?? Number.NaN)) &&
        (found === undefined || !Number.isNaN(value))
      )
        found = value;
    }
  }
  return found;
}

export function paintValues(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  strength: CellAt,
  text: (row: number, column: number) => string,
  palette: Palette,
): void {
  const seen = visibleCells(frame);
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.width, frame.height);
  context.clip();
  context.font = `${Math.min(12, Math.floor(frame.cell / 3.2))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = seen.top; row < seen.bottom; row++) {
    for (let column = seen.left; column < seen.right; column++) {
      const value = strength(row, column);
      if (value === undefined || Number.isNaN(value)) continue;
      context.fillStyle = inkOn(rampAt(palette.ramp, value));
      context.fillText(
        text(row, column),
        frame.x + (column + 0.5 - frame.left) * frame.cell,
        frame.y + (row + 0.5 - frame.top) * frame.cell,
      );
    }
  }
  context.restore();
}

export function outlineCell(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  [row, column]: readonly [number, number],
  color: string,
): void {
  const size = Math.max(frame.cell, 3);
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.strokeRect(
    frame.x + (column - frame.left) * frame.cell,
    frame.y + (row - frame.top) * frame.cell,
    size,
    size,
  );
}

export function bar(color: Color): string {
  return css(color, 0.75);
}
