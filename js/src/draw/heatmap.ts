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

/** Rows and columns that are alike, counted from the first. */
export type Grain = readonly [rows: number, columns: number];

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

/** Where the cells of each pixel begin, and where those of the last one end; a pixel holds all cells whose middle it has. */
export function pixelStarts([from, to]: readonly [number, number], start: number, scale: number): number[] {
  const count = scale < 1 ? Math.floor((to - 0.5 - start) * scale) + 1 : to - from;
  return Array.from({ length: count + 1 }, (_, at) => {
    if (scale >= 1) return from + at;
    return at === 0 ? from : at === count ? to : Math.ceil(start + at / scale - 0.5);
  });
}

export interface Painted {
  /** Something hatched is on the screen. */
  masked: boolean;
  /** Several cells share a pixel. */
  pooled: boolean;
}

/** Paints a picture with a pixel per cell, scaled up; or with the screen's pixels, where cells are smaller than those. */
export function paintHeatmap(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  at: CellAt,
  palette: Palette,
  grain: Grain = [1, 1],
  middle = 0,
): Painted {
  const seen = visibleCells(frame);
  const ratio = context.getTransform().a;
  const pooled = frame.cell * ratio < 1;
  const down = pixelStarts([seen.top, seen.bottom], frame.top, frame.cell * ratio);
  const right = pixelStarts([seen.left, seen.right], frame.left, frame.cell * ratio);
  const [wide, tall] = [right.length - 1, down.length - 1];
  if (wide <= 0 || tall <= 0) return { masked: false, pooled };
  let masked = false;
  const image = new ImageData(wide, tall);
  const table = rampTable(palette);
  const blank = parse(palette.placeholder);
  for (let row = 0; row < tall; row++) {
    const rows = [down[row] as number, down[row + 1] as number] as const;
    for (let column = 0; column < wide; column++) {
      const value = largest(at, rows, [right[column] as number, right[column + 1] as number], grain, middle);
      const place = (row * wide + column) * 4;
      if (value === undefined) image.data.set([...blank, 255], place);
      else if (Number.isNaN(value)) masked = true;
      else {
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

  const whole = (place: number) => Math.round(place * ratio) / ratio;
  const [x, y] = pooled
    ? [whole(frame.x), whole(frame.y)]
    : [frame.x + (seen.left - frame.left) * frame.cell, frame.y + (seen.top - frame.top) * frame.cell];
  const size = pooled ? 1 / ratio : frame.cell;
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.width, frame.height);
  context.clip();
  if (masked) {
    context.fillStyle = paintHatch(context, palette);
    context.fillRect(x, y, wide * size, tall * size);
  }
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, x, y, wide * size, tall * size);
  if (frame.cell >= 9) paintGaps(context, frame, seen, palette);
  context.restore();
  return { masked, pooled };
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

/** What is too small to be drawn is stood for by its largest, or the farthest from `middle`, so that no peak goes missing. */
export function largest(
  at: CellAt,
  [top, bottom]: readonly [number, number],
  [left, right]: readonly [number, number],
  [tall, wide]: Grain,
  middle = 0,
): number | undefined {
  let found: number | undefined;
  for (let down = top; down < bottom; ) {
    // Of the cells that are alike the lowest on the left, which a causal mask hides last.
    down = Math.min(bottom, down - (down % tall) + tall);
    for (let column = left; column < right; column += wide - (column % wide)) {
      const value = at(down - 1, column);
      if (value === undefined) continue;
      const farther = found !== undefined && Math.abs(value - middle) > Math.abs(found - middle);
      if (found === undefined || Number.isNaN(found) || farther) found = value;
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
