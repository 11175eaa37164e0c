import type { Axis } from "../attention/axis.js";
import { isCount, isObject, ProtocolError } from "../protocol-check.js";
import { flowOf, type Piece } from "../views/text-flow.js";

const VERSION = 1;

/** A token the model could have said. */
export interface Alternative {
  token: string;
  /** Natural logarithm of its probability. */
  logprob: number;
}

/** The tokens of one text, and how likely the model found each. */
export interface Strip {
  model: string;
  axis: Axis;
  flow: Piece[];
  /** Natural logarithms; NaN where there is none. */
  logprobs: number[];
  /** In bits. */
  surprisal: number[];
  /** 1 for the likeliest, 0 where it is not known. */
  ranks: number[];
  /** In bits; NaN where not known. Exact, or the least it can be. */
  entropies: number[];
  exact: boolean;
  /** Per token, the likeliest first. */
  alternatives: Alternative[][];
  /** Tokens that have a number, the most surprising first. */
  order: number[];
  /** What there is to say of all of it: bits per token, perplexity. */
  summary: string;
}

export interface Strips {
  strips: Strip[];
  state: Record<string, unknown>;
  /** The largest finite surprisal of all texts, at least one bit. */
  most: number;
}

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The log-probabilities are damaged: ${what}.`);
}

export function readStrips(bytes: Uint8Array): Strips {
  let told: unknown;
  try {
    told = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    need(false, "no JSON");
  }
  need(isObject(told) && Array.isArray(told["texts"]) && told["texts"].length > 0, "no texts");
  need(told["version"] === VERSION, `version ${told["version"]}, and this page reads ${VERSION}`);
  const strips = told["texts"].map(readStrip);
  const finite = strips.flatMap(({ surprisal }) => surprisal.filter(Number.isFinite));
  const most = finite.reduce((least, value) => Math.max(least, value), 1);
  return { strips, state: isObject(told["state"]) ? told["state"] : {}, most };
}

function readStrip(told: unknown): Strip {
  need(isObject(told), "a text is no object");
  const { tokens, special, gaps, names, model, summary } = told;
  const isTexts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((text) => typeof text === "string");
  const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);
  need(isTexts(tokens) && tokens.length > 0, "no tokens");
  need(isCounts(gaps) && gaps.length === tokens.length, "gaps");
  need(isTexts(names) && isCounts(special), "names of tokens");
  need(typeof model === "string" && typeof summary === "string", "names");
  const numbers = (name: string) => {
    const values = told[name];
    need(Array.isArray(values) && values.length === tokens.length, name);
    return values.map(readNumber);
  };
  const logprobs = numbers("logprobs");
  const surprisal = logprobs.map((value) => Math.abs(value) / Math.LN2);
  const listed = told["alternatives"];
  need(Array.isArray(listed) && listed.length === tokens.length, "alternatives");
  const alternatives = listed.map((each: unknown) => {
    need(Array.isArray(each) && each.length % 2 === 0, "alternatives");
    return Array.from({ length: each.length / 2 }, (_, at) => {
      const token = names[each[2 * at]];
      need(typeof token === "string", "names of alternatives");
      return { token, logprob: readNumber(each[2 * at + 1]) };
    });
  });
  const axis = axisOf(tokens, new Set(special));
  const order = [...surprisal.keys()].filter((at) => !Number.isNaN(surprisal[at]));
  order.sort((a, b) => (surprisal[b] as number) - (surprisal[a] as number) || a - b);
  return {
    model,
    axis,
    flow: flowOf(axis, gaps).map((piece) => boxed(piece, gaps)),
    logprobs,
    surprisal,
    ranks: numbers("ranks"),
    entropies: numbers("entropies"),
    exact: told["exact"] === true,
    alternatives,
    order,
    summary,
  };
}

const axisOf = (tokens: readonly string[], special: ReadonlySet<number>): Axis => ({
  units: tokens.map((text, at) => ({ text, from: at, to: at + 1, special: special.has(at) })),
  unitOf: Int32Array.from(tokens.keys()),
  length: tokens.length,
  wholeWords: false,
});

/** JSON has neither infinity nor NaN. */
function readNumber(value: unknown): number {
  if (value === null) return Number.NaN;
  if (value === "-inf") return Number.NEGATIVE_INFINITY;
  need(typeof value === "number", "a number");
  return value;
}

/** A token's own spaces are part of its box, and seen; one that no token carries stays between them. */
function boxed(piece: Piece, gaps: readonly number[]): Piece {
  const apart = piece.first && gaps[piece.unit] === 1 ? " " : "";
  const own = piece.lead.length - apart.length;
  return { ...piece, text: "·".repeat(own) + piece.text, lead: apart, open: own > 0 };
}
