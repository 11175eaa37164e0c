import { type Color, css } from "./palette.js";

export interface Link {
  from: number;
  to: number;
  strength: number;
}

export interface LinkBundle {
  color: Color;
  links: readonly Link[];
  emphasis: Emphasis;
  /** Effects against are dashed. */
  dashed?: boolean;
}

/** 0 for the rest, 1 for what belongs to the token in question, 2 for the link in question. */
export type Emphasis = 0 | 1 | 2;

const LOOKS = [
  { alpha: 0.07, gain: 0.3, width: 0.8, swell: 1.2 },
  { alpha: 0.14, gain: 0.3, width: 0.8, swell: 2.4 },
  { alpha: 0.34, gain: 0.54, width: 0.9, swell: 5.4 },
] as const;

export interface LinkFrame {
  /** Something is in question, so the rest steps back. */
  quiet: boolean;
  width: number;
  height: number;
}

const LEVELS = 14;

/** Curves from the left edge to the right one, the weak below the strong. */
export function paintLinks(
  context: CanvasRenderingContext2D,
  frame: LinkFrame,
  bundles: readonly LinkBundle[],
): void {
  context.lineCap = "round";
  for (const { color, links, emphasis, dashed } of [...bundles].sort((a, b) => a.emphasis - b.emphasis)) {
    const look = LOOKS[emphasis];
    context.setLineDash(dashed ? [4, 4] : []);
    const fade = frame.quiet && emphasis === 0 ? 0.5 : 1;
    const levels: Link[][] = Array.from({ length: LEVELS }, () => []);
    for (const link of links) levels[Math.min(LEVELS - 1, Math.floor(link.strength * LEVELS))]?.push(link);
    levels.forEach((level, at) => {
      if (level.length === 0) return;
      const strength = (at + 0.5) / LEVELS;
      context.beginPath();
      for (const { from, to } of level) {
        context.moveTo(1, from);
        context.bezierCurveTo(frame.width * 0.46, from, frame.width * 0.54, to, frame.width - 1, to);
      }
      context.strokeStyle = css(color, fade * (look.alpha + look.gain * Math.min(1, strength * 1.3)));
      context.lineWidth = look.width + look.swell * strength;
      context.stroke();
    });
  }
  context.setLineDash([]);
}

/** One square per series beside a key. */
export function paintSquare(
  context: CanvasRenderingContext2D,
  [x, y, size]: readonly [number, number, number],
  color: Color,
  strength: number,
  hollow = false,
): void {
  context.beginPath();
  context.roundRect(x, y, size, size, Math.min(3, size / 5));
  if (hollow) {
    context.strokeStyle = css(color, 0.2 + 0.8 * strength);
    context.stroke();
    return;
  }
  context.fillStyle = css(color, 0.03 + 0.77 * strength);
  context.fill();
}
