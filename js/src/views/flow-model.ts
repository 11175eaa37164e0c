import type { Link } from "../attention/flow.js";
import { range } from "../basics.js";
import type { EvolutionRequest, FlowRequest, Reply } from "../protocol.js";
import type { Answered } from "./asked.js";

/** More tokens than this are not all shown. */
export const ALL_ROWS = 48;
export const MOST_ROWS = 160;

/** One number per token and column, whatever they are. */
export interface Picture {
  columns: number;
  tokens: number;
  value(token: number, column: number): number;
}

export interface Routes extends Picture {
  request: FlowRequest;
  share(token: number, level: number): number;
  chance(token: number, level: number): number;
  links: Link[][];
}

/** What is on the screen. */
export interface Drawn {
  query: number;
  picture: Picture;
  routes: Routes | null;
  /** Tokens that have a row, and the row of each. */
  rows: number[];
  place: Map<number, number>;
  links: Link[][];
  /** The most that tokens without a row hold of a column. */
  missing: number;
}

export function routesOf({ request, reply }: Answered<FlowRequest>): Routes {
  const [levels, tokens, edges] = sizes(reply);
  const shares = reply.data.subarray(0, levels * tokens);
  const chances = reply.data.subarray(levels * tokens, 2 * levels * tokens);
  const rest = reply.data.subarray(2 * levels * tokens);
  const links = range(0, levels - 1).map((row) =>
    range(0, edges)
      .map((at): Link => {
        const start = 4 * (row * edges + at);
        const [above, below, share, chance] = rest.subarray(start, start + 4) as unknown as number[];
        return {
          above: above as number,
          below: below as number,
          share: share as number,
          chance: chance as number,
        };
      })
      .filter(({ share, chance }) => share !== 0 || chance !== 0),
  );
  const share = (token: number, level: number) => shares[level * tokens + token] as number;
  const chance = (token: number, level: number) => chances[level * tokens + token] as number;
  const value = (token: number, level: number) =>
    request.excess ? share(token, level) - chance(token, level) : share(token, level);
  return { request, columns: levels, tokens, share, chance, links, value };
}

export function evolutionOf({ reply }: Answered<EvolutionRequest>): Picture {
  const [columns, tokens] = reply.shape as [number, number];
  return { columns, tokens, value: (token, column) => reply.data[column * tokens + token] as number };
}

const sizes = ({ info = {} }: Reply): [number, number, number] => [
  Number(info.levels),
  Number(info.tokens),
  Number(info.edges),
];

export const sizeOf = ({ share, chance }: Link, excess: boolean): number => (excess ? share - chance : share);

/** The links from a part of their layer's strongest up, and what part of the flow they carry. */
export function shownLinks(
  { links, request: { excess } }: Routes,
  threshold: number,
): { links: Link[][]; carried: number; least: number; weakest: number } {
  const shown = links.map((layer) => {
    const most = layer.reduce((most, link) => Math.max(most, Math.abs(sizeOf(link, excess))), 0);
    return layer.filter((link) => Math.abs(sizeOf(link, excess)) >= threshold * most);
  });
  const sums = shown.map((layer) => layer.reduce((sum, { share }) => sum + share, 0));
  const least = Math.min(...sums);
  return {
    links: shown,
    carried: sums.reduce((sum, one) => sum + one, 0) / sums.length,
    least,
    weakest: sums.indexOf(least),
  };
}

/** Which tokens have a row: all of a short text, else those with the largest numbers anywhere. */
export function shownRows(picture: Picture, must: Iterable<number>): { rows: number[]; missing: number } {
  const { tokens, columns, value } = picture;
  if (tokens <= ALL_ROWS) return { rows: range(0, tokens), missing: 0 };
  const most = new Float64Array(tokens);
  for (let token = 0; token < tokens; token++)
    for (let column = 0; column < columns; column++) {
      const size = Math.abs(value(token, column));
      if (size > (most[token] as number)) most[token] = size;
    }
  const chosen = new Set(must);
  const order = range(0, tokens).sort((a, b) => (most[b] as number) - (most[a] as number));
  for (const token of order) {
    if (chosen.size >= ALL_ROWS) break;
    chosen.add(token);
  }
  let missing = 0;
  for (let column = 0; column < columns; column++) {
    let left = 0;
    for (let token = 0; token < tokens; token++) {
      const size = Math.abs(value(token, column));
      if (!chosen.has(token) && size > 0) left += size;
    }
    missing = Math.max(missing, left);
  }
  return { rows: [...chosen].sort((a, b) => a - b), missing };
}
