import { isShortcut, listenTo } from "../dom.js";
import type { Viewport } from "./viewport.js";

/** What the mouse and the keyboard can do to a matrix. */
export interface Gestures {
  view: Viewport;
  readonly corner: { x: number; y: number };
  cellAt(x: number, y: number): [number, number] | null;
  hover(cell: [number, number] | null): void;
  pin(cell: [number, number]): void;
  pinCursor(): void;
  move(down: number, right: number): void;
  zoom(factor: number, x?: number, y?: number): void;
  zoomCursor(factor: number): void;
  fit(): void;
}

const STILL = 4;

export function listen(
  matrix: Gestures,
  canvas: HTMLCanvasElement,
  cell: HTMLElement,
  life: AbortSignal,
): void {
  pointer(matrix, canvas, life);
  wheel(matrix, canvas, life);
  cell.addEventListener("keydown", (event) => key(matrix, event), { signal: life });
  cell.addEventListener("focus", () => matrix.move(0, 0), { signal: life });
  cell.addEventListener("blur", () => matrix.hover(null), { signal: life });
}

const STEPS: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
  Home: [0, Number.NEGATIVE_INFINITY],
  End: [0, Number.POSITIVE_INFINITY],
};

function key(matrix: Gestures, event: KeyboardEvent): void {
  if (isShortcut(event)) return;
  const step = STEPS[event.key];
  if (step) matrix.move(...step);
  else if (event.key === "Enter" || event.key === " ") matrix.pinCursor();
  else if (event.key === "+" || event.key === "=") matrix.zoomCursor(1.5);
  else if (event.key === "-") matrix.zoomCursor(1 / 1.5);
  else if (event.key === "0") matrix.fit();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function pointer(matrix: Gestures, canvas: HTMLCanvasElement, life: AbortSignal): void {
  let grip: { x: number; y: number; view: Viewport; moved: boolean } | null = null;
  const on = listenTo(canvas, life);
  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    grip = { x: event.offsetX, y: event.offsetY, view: matrix.view, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    if (!grip) {
      matrix.hover(matrix.cellAt(event.offsetX, event.offsetY));
      return;
    }
    const [right, down] = [event.offsetX - grip.x, event.offsetY - grip.y];
    if (!grip.moved && Math.hypot(right, down) < STILL) return;
    grip.moved = true;
    matrix.hover(null);
    const { view } = grip;
    matrix.view = { ...view, top: view.top - down / view.cell, left: view.left - right / view.cell };
  });
  on("pointerup", (event) => {
    const cell = grip && !grip.moved ? matrix.cellAt(event.offsetX, event.offsetY) : null;
    grip = null;
    if (cell) matrix.pin(cell);
  });
  on("pointercancel", () => {
    grip = null;
  });
  on("pointerleave", () => matrix.hover(null));
}

function wheel(matrix: Gestures, canvas: HTMLCanvasElement, life: AbortSignal): void {
  const turn = (event: WheelEvent) => {
    if (event.ctrlKey || event.metaKey) {
      const { x, y } = matrix.corner;
      matrix.zoom(Math.exp(-event.deltaY / 300), event.offsetX - x, event.offsetY - y);
      matrix.hover(matrix.cellAt(event.offsetX, event.offsetY));
      event.preventDefault();
      return;
    }
    const before = matrix.view;
    const [right, down] = event.shiftKey ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    matrix.view = {
      ...before,
      top: before.top + down / before.cell,
      left: before.left + right / before.cell,
    };
    matrix.hover(matrix.cellAt(event.offsetX, event.offsetY));
    // At an edge the wheel belongs to the page again.
    if (matrix.view.top !== before.top || matrix.view.left !== before.left) event.preventDefault();
  };
  canvas.addEventListener("wheel", turn, { signal: life, passive: false });
}
