import { type Color, css, type Palette } from "./palette.js";

export interface FlowFrame {
  width: number;
  height: number;
  /** Left edge of the columns; before it stand the tokens' names. */
  left: number;
  /** Height of the columns' names. */
  top: number;
  pitch: number;
  step: number;
  /** Pixels scrolled away. */
  x: number;
  y: number;
  rows: number;
  columns: number;
}

export interface FlowLink {
  /** Row on the left and on the right, and the column on the left. */
  from: number;
  to: number;
  column: number;
  /** Between −1 and 1: below zero less than by chance. */
  strength: number;
  quiet: boolean;
}

export interface FlowColors {
  more: Color;
  less: Color;
}

export const columnAt = (frame: FlowFrame, column: number): number =>
  frame.left + (column + 0.5) * frame.step - frame.x;
export const rowAt = (frame: FlowFrame, row: number): number =>
  frame.top + (row + 0.5) * frame.pitch - frame.y;

const inside = (frame: FlowFrame, run: (row: number) => void) => {
  const first = Math.max(0, Math.floor(frame.y / frame.pitch) - 1);
  const last = Math.min(frame.rows, Math.ceil((frame.y + frame.height - frame.top) / frame.pitch) + 1);
  for (let row = first; row < last; row++) run(row);
};

function clipped(context: CanvasRenderingContext2D, frame: FlowFrame, draw: () => void): void {
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width - frame.left, frame.height - frame.top);
  context.clip();
  draw();
  context.restore();
}

/** Curves between neighbouring columns; what is less than by chance is dashed. */
export function paintFlowLinks(
  context: CanvasRenderingContext2D,
  frame: FlowFrame,
  links: readonly FlowLink[],
  colors: FlowColors,
): void {
  clipped(context, frame, () => {
    for (const { from, to, column, strength, quiet } of links) {
      const [x0, x1] = [columnAt(frame, column), columnAt(frame, column + 1)];
      const [y0, y1] = [rowAt(frame, from), rowAt(frame, to)];
      if (x1 < frame.left || x0 > frame.width) continue;
      if (Math.max(y0, y1) < frame.top || Math.min(y0, y1) > frame.height) continue;
      const size = Math.abs(strength);
      context.beginPath();
      context.moveTo(x0, y0);
      context.bezierCurveTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1);
      context.setLineDash(strength < 0 ? [4, 3] : []);
      context.strokeStyle = css(
        strength < 0 ? colors.less : colors.more,
        (quiet ? 0.12 : 0.28) + 0.45 * size,
      );
      context.lineWidth = 0.7 + 8 * size;
      context.stroke();
    }
    context.setLineDash([]);
  });
}

/** A disc per token and level, its area the share; a ring where it is less than by chance. */
export function paintDiscs(
  context: CanvasRenderingContext2D,
  frame: FlowFrame,
  strength: (row: number, column: number) => number,
  colors: FlowColors,
  palette: Palette,
): void {
  const most = Math.max(3, Math.min(frame.pitch / 2 - 2, frame.step / 2 - 3, 11));
  clipped(context, frame, () => {
    inside(frame, (row) => {
      for (let column = 0; column < frame.columns; column++) {
        const x = columnAt(frame, column);
        if (x < frame.left - most || x > frame.width + most) continue;
        const share = strength(row, column);
        context.beginPath();
        context.arc(x, rowAt(frame, row), Math.max(1.2, most * Math.sqrt(Math.abs(share))), 0, 2 * Math.PI);
        context.lineWidth = 1.5;
        context.strokeStyle = css(share < 0 ? colors.less : colors.more);
        context.fillStyle = share < 0 ? palette.ground : css(colors.more, share === 0 ? 0.25 : 1);
        context.fill();
        if (share < 0) context.stroke();
      }
    });
  });
}

/** A small chart of bars per layer, all of one scale. */
export function paintBars(
  context: CanvasRenderingContext2D,
  frame: FlowFrame,
  strength: (row: number, column: number) => number,
  color: Color,
  palette: Palette,
): void {
  const wide = frame.step - Math.min(8, frame.step * 0.2);
  clipped(context, frame, () => {
    for (let column = 0; column < frame.columns; column++) {
      const x = columnAt(frame, column) - wide / 2;
      if (x > frame.width || x + wide < frame.left) continue;
      context.fillStyle = palette.line;
      context.fillRect(
        x - 1,
        frame.top,
        1,
        Math.min(frame.height, rowAt(frame, frame.rows - 0.5)) - frame.top,
      );
      inside(frame, (row) => {
        const share = strength(row, column);
        const y = rowAt(frame, row) - frame.pitch * 0.3;
        if (Number.isNaN(share)) {
          context.fillStyle = palette.hatch;
          context.fillRect(x, y + frame.pitch * 0.27, Math.min(5, wide), 1);
          return;
        }
        context.fillStyle = css(color);
        context.fillRect(x, y, Math.max(share > 0 ? 1 : 0, wide * share), frame.pitch * 0.6);
      });
    }
  });
}

export interface FlowNames {
  row(row: number): string;
  column(column: number): string;
  /** Rows and columns set apart. */
  bold(row: number): boolean;
  faint(row: number): boolean;
}

/** Names of rows at the left and of columns at the top. */
export function paintNames(
  context: CanvasRenderingContext2D,
  frame: FlowFrame,
  names: FlowNames,
  palette: Palette,
): void {
  context.save();
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.beginPath();
  context.rect(0, frame.top, frame.left, frame.height - frame.top);
  context.clip();
  inside(frame, (row) => {
    context.font = `${names.bold(row) ? 600 : 400} 12.5px system-ui, sans-serif`;
    context.fillStyle = names.faint(row) ? palette.faint : palette.ink;
    context.fillText(fitted(context, names.row(row), frame.left - 14), frame.left - 8, rowAt(frame, row));
  });
  context.restore();
  context.save();
  context.beginPath();
  context.rect(frame.left, 0, frame.width - frame.left, frame.top);
  context.clip();
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = palette.faint;
  const every = Math.ceil(26 / frame.step);
  for (let column = 0; column < frame.columns; column++) {
    if ((frame.columns - 1 - column) % every !== 0) continue;
    context.fillText(names.column(column), columnAt(frame, column), frame.top / 2);
  }
  context.restore();
}

/** As much of a text as fits. */
function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  const chars = Array.from(text);
  let [low, high] = [0, chars.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${chars.slice(0, middle).join("")}…`).width <= room) low = middle;
    else high = middle - 1;
  }
  return `${chars.slice(0, low).join("")}…`;
}
