import { range } from "../basics.js";
import type { Palette } from "./palette.js";

export interface Ends {
  least: number;
  most: number;
}

/** A point: where it stands, how it is drawn, and the ring of one that is selected. */
export interface Point {
  x: number;
  y: number;
  color: string;
  ring?: string;
  name?: string;
  /** How far its numbers spread, in each direction; drawn where it is known. */
  spread?: { x: number; y: number };
}

/** Where numbers stand. */
export interface Plane {
  width: number;
  height: number;
  x: Ends;
  y: Ends;
}

/** All points, painted anew only when they change. */
export interface Crowd extends Plane {
  /** Left out of what is asked for: small and faint. */
  others: readonly Point[];
  points: readonly Point[];
}

/** What stands above them, and follows the pointer. */
export interface Front extends Plane {
  /** How many points there are, which says how large they are. */
  count: number;
  points: readonly Point[];
  /** Numbers that chance alone would give. */
  chance: { x: number; y: number };
  /** What is being marked, in numbers. */
  brush: { x: Ends; y: Ends } | null;
}

export const MARGINS = { left: 44, right: 14, top: 10, bottom: 24 } as const;
const ROOM = 0.06;
const FINE = 600;
const FONT = "11px system-ui, sans-serif";

/** The ends of an axis: those of its numbers, with some room. */
export function endsOf(values: Iterable<number>): Ends {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (!(least <= most)) return { least: 0, most: 1 };
  const room = ROOM * (most - least) || Math.max(Math.abs(most), 1) * 0.05;
  return { least: least - room, most: most + room };
}

/** Round numbers between two ends: 1, 2 or 5 times a power of ten apart. */
export function ticks({ least, most }: Ends, count: number): number[] {
  const rough = (most - least) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => power * factor >= rough) ?? 10);
  return range(Math.ceil(least / step), Math.floor(most / step) + 1).map((at) =>
    Number((at * step).toPrecision(12)),
  );
}

export interface Places {
  across(value: number): number;
  up(value: number): number;
  /** The numbers at a place. */
  at(left: number, top: number): [number, number];
}

export function placesOf({ width, height, x, y }: Plane): Places {
  const wide = Math.max(1, width - MARGINS.left - MARGINS.right);
  const tall = Math.max(1, height - MARGINS.top - MARGINS.bottom);
  return {
    across: (value) => MARGINS.left + ((value - x.least) / (x.most - x.least)) * wide,
    up: (value) => MARGINS.top + tall - ((value - y.least) / (y.most - y.least)) * tall,
    at: (left, top) => [
      x.least + ((left - MARGINS.left) / wide) * (x.most - x.least),
      y.least + ((MARGINS.top + tall - top) / tall) * (y.most - y.least),
    ],
  };
}

/** Radius of a point, by how many there are. */
export const radiusOf = (count: number): number => (count > FINE ? 2.5 : count > 120 ? 4 : 5);

export function paintCrowd(pen: CanvasRenderingContext2D, plot: Crowd, palette: Palette): void {
  const { width, height } = plot;
  const places = placesOf(plot);
  const [right, bottom] = [width - MARGINS.right, height - MARGINS.bottom];
  pen.font = FONT;
  pen.lineWidth = 1;
  pen.strokeStyle = palette.line;
  pen.fillStyle = palette.faint;
  const lines: [number, number, number, number][] = [];
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const tick of ticks(plot.x, (right - MARGINS.left) / 60)) {
    const at = Math.round(places.across(tick)) + 0.5;
    lines.push([at, MARGINS.top, at, bottom]);
    pen.fillText(String(tick), at, bottom + 6);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const tick of ticks(plot.y, (bottom - MARGINS.top) / 50)) {
    const at = Math.round(places.up(tick)) + 0.5;
    lines.push([MARGINS.left, at, right, at]);
    pen.fillText(String(tick), MARGINS.left - 7, at);
  }
  stroke(pen, lines);
  const radius = radiusOf(plot.points.length + plot.others.length);
  for (const point of plot.others) disc(pen, point, places, Math.max(1.5, radius / 2));
  pen.strokeStyle = palette.faint;
  for (const point of plot.points) {
    disc(pen, point, places, radius);
    if (radius > 3) pen.stroke();
  }
}

export function paintFront(pen: CanvasRenderingContext2D, plot: Front, palette: Palette): void {
  const places = placesOf(plot);
  paintChance(pen, plot, places, palette);
  for (const point of plot.points) paintRinged(pen, point, plot, palette, radiusOf(plot.count) + 2);
  if (plot.brush) {
    const [left, top] = [places.across(plot.brush.x.least), places.up(plot.brush.y.most)];
    const wide = places.across(plot.brush.x.most) - left;
    const tall = places.up(plot.brush.y.least) - top;
    pen.strokeStyle = palette.accent;
    pen.setLineDash([4, 3]);
    pen.strokeRect(left, top, wide, tall);
    pen.setLineDash([]);
  }
}

function disc(pen: CanvasRenderingContext2D, { x, y, color }: Point, places: Places, radius: number): void {
  pen.fillStyle = color;
  pen.beginPath();
  pen.arc(places.across(x), places.up(y), radius, 0, 2 * Math.PI);
  pen.fill();
}

function stroke(
  pen: CanvasRenderingContext2D,
  lines: readonly (readonly [number, number, number, number])[],
) {
  pen.beginPath();
  for (const [x, y, toX, toY] of lines) {
    pen.moveTo(x, y);
    pen.lineTo(toX, toY);
  }
  pen.stroke();
}

/** Where chance alone would put a head: dashed lines, and what they are. */
function paintChance(pen: CanvasRenderingContext2D, plot: Front, places: Places, palette: Palette): void {
  const { x, y } = plot.chance;
  const [right, bottom] = [plot.width - MARGINS.right, plot.height - MARGINS.bottom];
  const across = x > plot.x.least && x < plot.x.most ? places.across(x) : null;
  const up = y > plot.y.least && y < plot.y.most ? places.up(y) : null;
  pen.lineWidth = 1;
  pen.strokeStyle = palette.faint;
  pen.setLineDash([5, 4]);
  if (across !== null) stroke(pen, [[across, MARGINS.top, across, bottom]]);
  if (up !== null) stroke(pen, [[MARGINS.left, up, right, up]]);
  pen.setLineDash([]);
  pen.font = FONT;
  pen.textBaseline = "bottom";
  pen.textAlign = "left";
  pen.strokeStyle = palette.ground;
  pen.fillStyle = palette.faint;
  const say = (left: number, top: number) => {
    pen.lineWidth = 3;
    pen.strokeText("chance", left, top);
    pen.lineWidth = 1;
    pen.fillText("chance", left, top);
  };
  if (across !== null) say(across + 4, bottom - 3);
  if (up !== null) say(MARGINS.left + 4, up - 3);
}

function paintRinged(
  pen: CanvasRenderingContext2D,
  point: Point,
  plot: Plane,
  palette: Palette,
  radius: number,
): void {
  const places = placesOf(plot);
  const [left, top] = [places.across(point.x), places.up(point.y)];
  const ring = point.ring ?? palette.ink;
  pen.strokeStyle = ring;
  pen.lineWidth = 1.5;
  const { spread } = point;
  if (spread && !Number.isNaN(spread.x + spread.y)) {
    pen.save();
    pen.beginPath();
    pen.rect(
      MARGINS.left,
      MARGINS.top,
      plot.width - MARGINS.left - MARGINS.right,
      plot.height - MARGINS.top - MARGINS.bottom,
    );
    pen.clip();
    stroke(pen, [
      [places.across(point.x - spread.x), top, places.across(point.x + spread.x), top],
      [left, places.up(point.y - spread.y), left, places.up(point.y + spread.y)],
    ]);
    pen.restore();
  }
  pen.strokeStyle = palette.ground;
  pen.lineWidth = 5;
  disc(pen, point, places, radius);
  pen.stroke();
  pen.strokeStyle = ring;
  pen.lineWidth = 2.5;
  disc(pen, point, places, radius);
  pen.stroke();
  pen.lineWidth = 1;
  if (!point.name) return;
  const before = left > plot.width - MARGINS.right - 60;
  pen.textAlign = before ? "right" : "left";
  pen.textBaseline = "bottom";
  pen.font = "600 12px system-ui, sans-serif";
  pen.fillStyle = ring;
  pen.strokeStyle = palette.ground;
  pen.lineWidth = 3;
  const at = left + (before ? -1 : 1) * (radius + 4);
  const high = Math.max(top - 3, MARGINS.top + 12);
  pen.strokeText(point.name, at, high);
  pen.fillText(point.name, at, high);
  pen.lineWidth = 1;
}
