import type { TokensInfo } from "../protocol.js";
import { spoken } from "../text.js";

const ARROW = /\s*(?:→|⟶|-+>|=+>)\s*/;
const PLACE = /^(?:#|position\s+)?(\d+)$/i;
const NEAR = 3;

/** The two sides of “it → cat”; null unless there are two. */
export function sidesOf(text: string): [string, string] | null {
  const [from, to, ...more] = text.split(ARROW).map((side) => side.trim().replace(/^["“'](.+)["”']$/u, "$1"));
  return from && to && more.length === 0 ? [from, to] : null;
}

export type Found = { position: number } | { problem: string };

/**
 * Finds a token, a word or a position, as Python does: tokens without their leading space, words by their first
 * token, the exact case before any case. A number is a position unless it is a token; #7 always is.
 */
export function findToken(tokens: TokensInfo, wanted: string): Found {
  const names = namesOf(tokens);
  const exact = names.find(([name]) => name === wanted);
  if (exact) return { position: exact[1] };
  const lower = wanted.toLocaleLowerCase();
  const folded = names.find(([name]) => name.toLocaleLowerCase() === lower);
  if (folded) return { position: folded[1] };
  const place = PLACE.exec(wanted)?.[1];
  const count = tokens.text.length;
  if (place !== undefined) {
    if (Number(place) < count) return { position: Number(place) };
    return {
      problem: `There is no position ${place}: the ${count} tokens have positions 0 to ${count - 1}.`,
    };
  }
  const near = nearest([...new Set(names.map(([name]) => name))], lower);
  const hint =
    near.length > 0 ? ` Did you mean ${near.map((name) => `“${spoken(name)}”`).join(" or ")}?` : "";
  return { problem: `There is no token or word “${wanted}”.${hint}` };
}

function namesOf({ text, words }: TokensInfo): [name: string, position: number][] {
  const names = text.flatMap((token, at): [string, number][] => [
    [token, at],
    [token.trim(), at],
    [token.trim().replace(/^##/, ""), at],
  ]);
  const whole = new Map<number, { name: string; at: number }>();
  words.forEach((word, at) => {
    if (word < 0) return;
    const known = whole.get(word);
    const piece = text[at] as string;
    if (known) known.name += piece.replace(/^##/, "");
    else whole.set(word, { name: piece, at });
  });
  for (const { name, at } of whole.values()) names.push([name.trim(), at]);
  return names.filter(([name]) => name !== "").sort((a, b) => a[1] - b[1]);
}

/** The names with the fewest letters to change, if these are not more than half. */
function nearest(names: readonly string[], wanted: string): string[] {
  return names
    .map((name) => ({ name, away: distance(name.toLocaleLowerCase(), wanted) }))
    .filter(({ name, away }) => away <= Math.ceil(Math.max(name.length, wanted.length) / 2))
    .sort((a, b) => a.away - b.away)
    .slice(0, NEAR)
    .map(({ name }) => name);
}

/** Letters to insert, take out or exchange (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
