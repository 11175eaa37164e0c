import type { KindInfo } from "../protocol.js";

/** Weights of all heads together up to which what needs each of them is computed without being asked for. */
export const MOST_UNASKED = 2 ** 26;

/** The same for the one number of each head that the head map is coloured by. */
export const MOST_COLORED = 2 ** 31;

/** How many weights all heads of a kind have together. */
export function weightsOf({ heads, queries, keys }: KindInfo): number {
  const cells = queries.text.length * (keys ?? queries).text.length;
  return heads.reduce((sum, count) => sum + count, 0) * cells;
}
