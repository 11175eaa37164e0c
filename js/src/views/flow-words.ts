import { el } from "../dom.js";
import type { KindInfo } from "../protocol.js";
import { fixed, spoken } from "../text.js";
import type { Drawn, shownLinks } from "./flow-model.js";

export const percent = (share: number): string =>
  `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function columnNames({ layers }: KindInfo, { routes, picture }: Drawn): string[] {
  const names = layers.map((layer) => `L${layer}`);
  return (routes ? ["input", ...names] : names).slice(0, picture.columns);
}

/** One node in words. */
export function sayNode(kind: KindInfo, drawn: Drawn, token: number, column: number): string {
  const name = `${spoken((kind.keys ?? kind.queries).text[token] ?? "")}, position ${token}`;
  const value = drawn.picture.value(token, column);
  if (!drawn.routes) {
    const what = Number.isNaN(value) ? "masked" : `weight ${fixed(value, 4)}`;
    return `${spoken(kind.queries.text[drawn.query] ?? "")} → ${name}, layer ${kind.layers[column]}: ${what}`;
  }
  const where = column === 0 ? "in the input" : `after layer ${kind.layers[column - 1]}`;
  const chance = percent(drawn.routes.chance(token, column));
  return `${name}, ${where}: ${percent(drawn.routes.share(token, column))} of the flow, ${chance} by chance`;
}

/** What the links carry, and what is left out. */
export function carriedNote(
  { layers }: KindInfo,
  { carried, least, weakest }: ReturnType<typeof shownLinks>,
  threshold: number,
  excess: boolean,
): (Node | string)[] {
  const number = el("span", { class: "number", "data-weight": String(carried) }, percent(carried));
  const from = threshold > 0 ? `, from ${percent(threshold)} of their layer's strongest up` : "";
  return [
    "links shown carry ",
    number,
    ` of the flow${from} (least in L${layers[weakest]}: ${percent(least)})`,
    excess
      ? " · filled: more than uniform attention would give; hollow, dashed: less"
      : " · sinks and early tokens gather flow by chance too: see minus chance",
  ];
}

export function layersNote(kind: KindInfo, query: number, head: number | null | undefined): string[] {
  const heads = head == null ? "the mean of all heads" : `head ${head}`;
  return [`Bars: the weights of ${spoken(kind.queries.text[query] ?? "")} in each layer, ${heads}`];
}

export const missingNote = ({ rows, picture, missing }: Drawn): string =>
  ` · ${rows.length} of ${picture.tokens} tokens shown, the others hold at most ${percent(missing)} of a column`;
