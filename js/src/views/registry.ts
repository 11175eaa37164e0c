import type { Context } from "../context.js";
import type { CaptureInfo, Fields, KindInfo } from "../protocol.js";
import type { State } from "../state.js";
import { createCompare } from "./compare.js";
import { createFlow } from "./flow.js";
import { createGrid } from "./grid.js";
import { createImage } from "./image.js";
import { hasScenes } from "./image-model.js";
import { createLinks } from "./links.js";
import { createMatrix } from "./matrix.js";
import { createSteps } from "./steps.js";
import { createText } from "./text.js";

export interface View {
  element: HTMLElement;
  /** What is on the screen, as a picture to save. */
  picture(): HTMLCanvasElement | null;
  /** What was chosen in the page alone, for a drawing of the same view. */
  choices?(): Fields;
}

export interface ViewEntry {
  name: string;
  label: string;
  create(context: Context): View;
  /** Whether there is anything to show; a view that fits everything does not say. */
  fits?(kind: KindInfo, capture: CaptureInfo): boolean;
}

/** In the order of the tabs. A new view is one file and one line here. */
export const VIEWS: readonly ViewEntry[] = [
  { name: "links", label: "Links", create: createLinks },
  { name: "matrix", label: "Matrix", create: createMatrix },
  { name: "grid", label: "Grid", create: createGrid },
  { name: "text", label: "Text", create: createText },
  { name: "steps", label: "Steps", create: createSteps },
  { name: "flow", label: "Flow", create: createFlow },
  { name: "image", label: "Image", create: createImage, fits: hasScenes },
  {
    name: "compare",
    label: "Compare",
    create: createCompare,
    fits: (_, { compare }) => compare !== undefined,
  },
];

/** The views that have something to show. */
export const fittingViews = ({ capture, now }: State): ViewEntry[] =>
  VIEWS.filter(({ fits }) => fits?.(now.kind.value, capture) ?? true);

/** The view on screen: the one asked for, or the first where that does not fit. */
export function viewOf(state: State): ViewEntry {
  const fitting = fittingViews(state);
  return fitting.find(({ name }) => name === state.synced.view.value) ?? (fitting[0] as ViewEntry);
}
