import type { Axis } from "../attention/axis.js";
import type { Palette } from "../draw/palette.js";
import type { Scheduler } from "../scheduler.js";
import type { Piece } from "./text-flow.js";
import type { Section } from "./text-layout.js";
import type { Look } from "./text-shade.js";

export interface PaneText {
  axis: Axis;
  flow: readonly Piece[];
  sections: readonly Section[];
}

/** What colours a text, and the numbers behind it. */
export interface PaneShade {
  /** Pixels of underlines below the text. */
  foot: number;
  look(unit: number): Look;
  numbers(unit: number, digits: number): string;
  draw(pen: CanvasRenderingContext2D, unit: number, box: DOMRect): void;
  /** What a token's element carries for scripts, by attribute. */
  exact?(unit: number): Record<string, number>;
}

export interface PanePaint {
  /** What its tokens are: queries, keys. */
  side: string;
  shade: PaneShade | null;
  pinned: readonly number[];
  /** Pinned on the other side of the same text. */
  paired: readonly number[];
  hovered: number | null;
  /** The passage to mark. */
  marked: readonly [from: number, to: number] | null;
  wanted: string;
  spaces: boolean;
}

export interface PaneEvents {
  hover(unit: number | null): void;
  /** Pins a token or releases it; with `add`, beside what is pinned. */
  pin(unit: number, add: boolean): void;
  /** Builds and follows the head of a passage. */
  head?(passage: number): HTMLElement;
  updateHead?(node: HTMLElement, passage: number): void;
}

/** What a pane needs of the page around it. */
export interface PaneGround {
  scheduler: Scheduler;
  life: AbortSignal;
  palette(): Palette;
  /** Pixels a token takes beside its letters. */
  gap?: number;
  /** Whether spaces between tokens stay blank where those of tokens are seen. */
  blank?: boolean;
}
