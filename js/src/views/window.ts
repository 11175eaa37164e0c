import { clamp } from "../basics.js";
/** Where the rows of a column lie when a column too tall for the screen is scrolled. */
export interface ColumnWindow {
  count: number;
  pitch: number;
  height: number;
  /** Pixels hidden above the window. */
  offset: number;
}

export interface Range {
  from: number;
  to: number;
}

export const MOST_PITCH = 29;
export const LEAST_PITCH = 22;

export function pitchFor(height: number, count: number): number {
  return Math.min(MOST_PITCH, Math.max(LEAST_PITCH, Math.floor(height / Math.max(1, count))));
}

/** The offset of a column when the taller of two columns is scrolled by `scrolled`: both reach their ends together. */
export function offsetOf(scrolled: number, content: number, tallest: number, height: number): number {
  const room = Math.max(0, content - height);
  const most = Math.max(0, tallest - height);
  return most === 0 ? 0 : room * clamp(scrolled / most, 0, 1);
}

export function visibleRange(column: ColumnWindow, overscan = 0): Range {
  const from = Math.floor(column.offset / column.pitch) - overscan;
  const to = Math.ceil((column.offset + column.height) / column.pitch) + overscan;
  return { from: clamp(from, 0, column.count), to: clamp(to, 0, column.count) };
}

/** The middle of a row, in pixels from the top of the window. */
export function middleOf(column: ColumnWindow, row: number): number {
  return (row + 0.5) * column.pitch - column.offset;
}

/** As `middleOf`, but a row outside the window stays at its edge. */
export function heldMiddle(column: ColumnWindow, row: number): number {
  const half = column.pitch / 2;
  return Math.min(column.height - half, Math.max(half, middleOf(column, row)));
}

/** As much of a row may lie under another before its text is touched. */
const OVERLAP = 3;

/** The middle of a row as it is drawn: the pinned one held inside the window, and null for what that one covers. */
export function drawnMiddle(column: ColumnWindow, row: number, pinned: number | null): number | null {
  const middle = middleOf(column, row);
  if (pinned === null) return middle;
  const held = heldMiddle(column, pinned);
  if (row === pinned) return held;
  return Math.abs(middle - held) < column.pitch - OVERLAP ? null : middle;
}

/** Where a row belongs: not closer to the window's edge than `least`; if it has to move, not closer than `aim`. */
export interface Spare {
  least: number;
  aim: number;
}

/** How far the tallest column must be scrolled so that a row of this column is in the window, or null if it is. */
export function scrollTo(
  column: ColumnWindow,
  row: number,
  tallest: number,
  scrolled: number,
  { least, aim }: Spare = { least: 0, aim: 0 },
): number | null {
  const middle = middleOf(column, row);
  const inside = column.pitch / 2 + least;
  if (middle >= inside && middle <= column.height - inside) return null;
  const content = column.count * column.pitch;
  const room = Math.max(0, content - column.height);
  if (room === 0) return null;
  const wanted = middle < inside ? row * column.pitch - aim : (row + 1) * column.pitch - column.height + aim;
  const share = clamp(wanted / room, 0, 1);
  const target = share * Math.max(0, tallest - column.height);
  return Math.abs(target - scrolled) < 0.5 ? null : target;
}
