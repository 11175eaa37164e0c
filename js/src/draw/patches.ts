import { type Color, css, type Palette, rampAt } from "./palette.js";

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PatchLook {
  /** How much the colours cover the picture; without a picture they are solid. */
  opacity: number;
  picture: CanvasImageSource | null;
  /** Colours from least to most. */
  ramp: readonly Color[];
  /** The colour over a picture, the stronger the denser. */
  tint: Color;
}

/** Patches over their picture: undefined is not here yet, NaN is masked. */
export function paintPatches(
  context: CanvasRenderingContext2D,
  box: Rect,
  places: readonly Rect[],
  strength: (at: number) => number | undefined,
  look: PatchLook,
  palette: Palette,
): void {
  const { picture, opacity } = look;
  context.fillStyle = palette.placeholder;
  context.fillRect(box.x, box.y, box.width, box.height);
  if (picture) {
    context.imageSmoothingEnabled = true;
    context.drawImage(picture, box.x, box.y, box.width, box.height);
  }
  const gap = !picture && Math.min(...places.slice(0, 1).map(({ width }) => width * box.width)) > 8 ? 1 : 0;
  const order = places.map((_, at) => [at, strength(at)] as const);
  // Where several spans share a pixel the strongest is seen.
  if (places.length > box.width) order.sort(([, a], [, b]) => (a ?? -1) - (b ?? -1));
  for (const [at, value] of order) {
    const { x, y, width, height } = places[at] as Rect;
    const [left, top] = [box.x + x * box.width, box.y + y * box.height];
    const [wide, tall] = [Math.max(1, width * box.width - gap), Math.max(1, height * box.height - gap)];
    if (value === undefined) continue;
    if (Number.isNaN(value)) {
      context.fillStyle = palette.hatch;
      context.fillRect(left + wide / 2 - 2, top + tall / 2 - 0.5, Math.min(4, wide), 1);
      continue;
    }
    if (picture) {
      context.fillStyle = css([0, 0, 0], 0.55 * opacity * (1 - value));
      context.fillRect(left, top, wide, tall);
      context.fillStyle = css(look.tint, 0.75 * opacity * value);
    } else context.fillStyle = css(rampAt(look.ramp, value));
    context.fillRect(left, top, wide, tall);
  }
}

export function outlinePlace(
  context: CanvasRenderingContext2D,
  box: Rect,
  { x, y, width, height }: Rect,
  color: string,
): void {
  const [left, top] = [box.x + x * box.width, box.y + y * box.height];
  const [wide, tall] = [Math.max(3, width * box.width), Math.max(3, height * box.height)];
  context.lineWidth = 3.5;
  context.strokeStyle = "rgb(255 255 255 / 0.8)";
  context.strokeRect(left, top, wide, tall);
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.strokeRect(left, top, wide, tall);
}

/** An image of pixels packed as 65536 · red + 256 · green + blue. */
export function unpackPixels(packed: ArrayLike<number>): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(4 * packed.length);
  for (let at = 0; at < packed.length; at++) {
    const pixel = packed[at] as number;
    out.set([pixel >> 16, (pixel >> 8) & 255, pixel & 255, 255], 4 * at);
  }
  return out;
}

/** A time axis under a strip. */
export function paintSeconds(
  context: CanvasRenderingContext2D,
  box: Rect,
  seconds: number,
  palette: Palette,
): void {
  context.fillStyle = palette.faint;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  for (let part = 0; part <= 4; part++) {
    context.textAlign = part === 0 ? "left" : part === 4 ? "right" : "center";
    const text = `${((seconds * part) / 4).toFixed(seconds < 10 ? 2 : 0)} s`;
    context.fillText(text, box.x + (box.width * part) / 4, box.y + box.height + 4);
  }
}
