import { css, type Palette, rampAt } from "./palette.js";

export interface Strip {
  values: ArrayLike<number>;
  /** The largest size of a number, which has the full colour. */
  most: number;
}

export interface StripFrame {
  width: number;
  /** Height of a strip, and from one strip's top to the next one's. */
  tall: number;
  pitch: number;
}

/** One row of cells per vector, zero in the middle of the colours. */
export function paintStrips(
  context: CanvasRenderingContext2D,
  frame: StripFrame,
  strips: readonly (Strip | null)[],
  palette: Palette,
): void {
  strips.forEach((strip, row) => {
    const y = row * frame.pitch;
    context.fillStyle = palette.placeholder;
    context.fillRect(0, y, frame.width, frame.tall);
    if (!strip) return;
    const count = strip.values.length;
    const cell = frame.width / Math.max(1, count);
    const gap = cell > 5 ? 1 : 0;
    for (let at = 0; at < count; at++) {
      const strength = strip.most > 0 ? (strip.values[at] as number) / strip.most : 0;
      context.fillStyle = css(rampAt(palette.diverging, (strength + 1) / 2));
      context.fillRect(at * cell, y, cell - gap, frame.tall);
    }
  });
}
