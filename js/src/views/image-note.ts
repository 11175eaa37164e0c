import { type Axis, textAt } from "../attention/axis.js";
import { formOf, isShare } from "../attention/measure.js";
import { type Domain, domainOf } from "../attention/strength.js";
import type { Series } from "../data.js";
import { el } from "../dom.js";
import type { Side } from "../state.js";
import { fixed, spoken } from "../text.js";
import type { Scene } from "./image-model.js";

export const other = (side: Side): Side => (side === "query" ? "key" : "query");

/** What is on the screen: numbers of the patches, and of the words beside them. */
export interface Shown {
  scene: Scene;
  series: Series;
  /** The side of the patches' tokens. */
  side: Side;
  /** The token of the other side they are asked about. */
  asker: number | null;
  /** A number per unit of the patches' side, and per unit beside them. */
  patches: Float32Array | undefined;
  words: Float32Array | undefined;
  domain: Domain;
  strength: (value: number) => number;
}

/** From no weight to the most here; numbers with a sign have zero in the middle. */
export function domainFor(values: Float32Array | undefined, measure: string): Domain {
  const form = formOf(measure);
  const found = domainOf(values ? [values] : []);
  if (form === "share") return { least: 0, most: Math.max(found.most, 1e-9) };
  const most = Math.max(Math.abs(found.least), Math.abs(found.most));
  return form === "signed" ? { least: -most, most } : found;
}

/** The number of a patch; undefined until it is here, NaN where it is masked. */
export function valueAt({ patches, scene }: Shown, axis: Axis, at: number): number | undefined {
  const place = scene.places[at];
  return place && patches?.[axis.unitOf[place.token] as number];
}

export function sayPlace(shown: Shown, axis: Axis, at: number): string {
  const place = shown.scene.places[at];
  if (!place) return "";
  const value = valueAt(shown, axis, at);
  const name = spoken(textAt(axis, axis.unitOf[place.token] as number));
  return `${name}: ${value === undefined ? "not here yet" : fixed(value, 4)}`;
}

/** Whose numbers these are, how much of a row they hold, and where they are largest. */
export function sceneNote(shown: Shown, axes: Record<Side, Axis>, measure: string): (Node | string)[] {
  const { asker, side, scene } = shown;
  if (asker === null || !shown.patches) return [];
  let [sum, best, most] = [0, -1, Number.NEGATIVE_INFINITY];
  scene.places.forEach((_, at) => {
    const value = valueAt(shown, axes[side], at) as number;
    if (Number.isNaN(value)) return;
    sum += value;
    if (value > most) [best, most] = [at, value];
  });
  const name = spoken(textAt(axes[other(side)], asker));
  const strongest = best < 0 ? "all masked" : `strongest: ${sayPlace(shown, axes[side], best)}`;
  if (!isShare(measure) || side === "query")
    return [`${side === "query" ? "who looks at " : ""}${name} · ${strongest}`];
  const number = el("span", { class: "number", "data-weight": String(sum) }, fixed(sum, 2));
  const what = scene.seconds === null ? "this image" : "this sound";
  return [`${name} gives ${what} `, number, ` of its row · ${strongest}`];
}
