import { textAt } from "../attention/axis.js";
import { fixed } from "../text.js";
import type { Strip } from "./data.js";

/** A surprisal as it is said. */
export function bits(surprisal: number, digits = 2): string {
  if (Number.isNaN(surprisal)) return "nothing before it";
  if (surprisal === Number.POSITIVE_INFINITY) return "probability 0 or not told";
  return `${fixed(surprisal, digits)} bits`;
}

export function percent(probability: number): string {
  if (Number.isNaN(probability) || probability === 0) return "–";
  if (probability > 0 && probability < 0.0001) return `${(100 * probability).toExponential(1)} %`;
  return `${(100 * probability).toFixed(probability < 0.1 ? 2 : 1)} %`;
}

/** A token's rank among all the model could have said. */
export function rankOf(strip: Strip, at: number): string {
  const rank = strip.ranks[at] ?? 0;
  const listed = strip.alternatives[at] ?? [];
  if (rank > 0) return String(rank);
  const isListed = listed.some(({ token }) => token === textAt(strip.axis, at));
  if (Number.isNaN(strip.logprobs[at]) || listed.length === 0 || isListed) return "not known";
  return `beyond the ${listed.length} listed`;
}
