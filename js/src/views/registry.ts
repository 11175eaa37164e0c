import type { Context } from "../context.js";
import { createLinks } from "./links.js";
import { createMatrix } from "./matrix.js";

export interface View {
  element: HTMLElement;
  /** What is on the screen, as a picture to save. */
  picture(): HTMLCanvasElement | null;
}

export interface ViewEntry {
  name: string;
  label: string;
  create(context: Context): View;
}

/** In the order of the tabs. A new view is one file and one line here. */
export const VIEWS: readonly ViewEntry[] = [
  { name: "links", label: "Links", create: createLinks },
  { name: "matrix", label: "Matrix", create: createMatrix },
];
