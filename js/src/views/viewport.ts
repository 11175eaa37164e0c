import { clamp } from "../basics.js";
/** Which part of a matrix is on the screen: the units at its top left corner, and pixels per unit. */
export interface Viewport {
  top: number;
  left: number;
  cell: number;
}

export interface Room {
  width: number;
  height: number;
  rows: number;
  columns: number;
}

export const MOST_CELL = 64;
const FIT_CELL = 44;

export function fitCell({ width, height, rows, columns }: Room): number {
  return Math.min(FIT_CELL, width / Math.max(1, columns), height / Math.max(1, rows));
}

export function clampViewport(view: Viewport, room: Room): Viewport {
  const cell = Math.min(MOST_CELL, Math.max(fitCell(room), view.cell));
  const most = (count: number, size: number) => Math.max(0, count - size / cell);
  return {
    cell,
    top: clamp(view.top, 0, most(room.rows, room.height)),
    left: clamp(view.left, 0, most(room.columns, room.width)),
  };
}

/** Zooms so that what lies under the point (in pixels from the corner) stays there. */
export function zoomAt(view: Viewport, room: Room, factor: number, x: number, y: number): Viewport {
  const cell = Math.min(MOST_CELL, Math.max(fitCell(room), view.cell * factor));
  const top = view.top + y / view.cell - y / cell;
  const left = view.left + x / view.cell - x / cell;
  return clampViewport({ top, left, cell }, room);
}

/** Pans just far enough that a cell is inside. */
export function revealCell(view: Viewport, room: Room, row: number, column: number): Viewport {
  const along = (start: number, size: number, at: number) => {
    const span = size / view.cell;
    if (at < start) return at;
    return at + 1 > start + span ? at + 1 - span : start;
  };
  const top = along(view.top, room.height, row);
  return clampViewport({ ...view, top, left: along(view.left, room.width, column) }, room);
}
