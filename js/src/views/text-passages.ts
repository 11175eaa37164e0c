import type { Axis } from "../attention/axis.js";
import { formOf } from "../attention/measure.js";
import type { TokensInfo } from "../protocol.js";
import type { UserSpan } from "../state.js";
import { shown } from "../text.js";
import type { Piece } from "./text-flow.js";

/** A part of a text that is summed as one. */
export interface Passage {
  /** Units, the last not included. */
  from: number;
  to: number;
  label: string;
}

export type Grouping = "span" | "turn" | "segment" | "sentence";

export const GROUPINGS: readonly (readonly [name: Grouping, label: string])[] = [
  ["span", "your spans"],
  ["turn", "chat turn"],
  ["segment", "text of the pair"],
  ["sentence", "sentence"],
];

const LABEL = 60;

/** What a text can be grouped by, the most telling first; each with its passages. */
export function groupingsOf(
  axis: Axis,
  tokens: TokensInfo,
  flow: readonly Piece[],
  spans: readonly UserSpan[],
): Map<Grouping, Passage[]> {
  const inUnits = (passages: readonly UserSpan[]): Passage[] =>
    passages
      .map(({ from, to, label }) => ({
        from: axis.unitOf[from] ?? axis.units.length,
        to: to > from ? (axis.unitOf[to - 1] ?? axis.units.length - 1) + 1 : (axis.unitOf[from] ?? 0),
        label: label && shown(label),
      }))
      .sort((a, b) => a.from - b.from);
  const found = new Map<Grouping, Passage[]>();
  if (spans.length > 0) found.set("span", inUnits(spans));
  if (tokens.turns)
    found.set("turn", inUnits(tokens.turns.map(([from, to, label]) => ({ from, to, label }))));
  const segments = inUnits(segmentsOf(tokens.segments ?? []));
  if (segments.length > 1) found.set("segment", segments);
  const sentences = sentencesOf(flow);
  if (sentences.length > 0) found.set("sentence", sentences);
  return found;
}

function segmentsOf(segments: readonly number[]): UserSpan[] {
  const found: UserSpan[] = [];
  segments.forEach((segment, at) => {
    const last = found[found.length - 1];
    if (last && segments[at - 1] === segment) last.to = at + 1;
    else found.push({ from: at, to: at + 1, label: `text ${segment + 1}` });
  });
  return found;
}

/** Sentences as Unicode has them; special tokens stand outside. */
export function sentencesOf(flow: readonly Piece[]): Passage[] {
  const found: Passage[] = [];
  let text = "";
  let starts: number[] = [];
  let units: number[] = [];
  const close = () => {
    const splitter = new Intl.Segmenter(undefined, { granularity: "sentence" });
    let at = 0;
    for (const { segment, index } of splitter.segment(withCapitals(text))) {
      const from = at;
      while (at < starts.length && (starts[at] as number) < index + segment.length) at++;
      if (at === from) continue;
      const first = units[from] as number;
      const before = found[found.length - 1];
      const start = before && before.to > first ? before.to : first;
      const to = (units[at - 1] as number) + 1;
      if (to > start)
        found.push({ from: start, to, label: labelOf(text.slice(index, index + segment.length)) });
    }
    [text, starts, units] = ["", [], []];
  };
  for (const { unit, text: written, lead, sign, breaks, special } of flow) {
    if (special) {
      close();
      continue;
    }
    starts.push(text.length + lead.length);
    units.push(unit);
    text +=
      lead + (sign ? written.replace(/[^·⇥]/gu, "").replace(/./gu, " ") : written) + "\n".repeat(breaks);
    if (breaks > 1) close();
  }
  close();
  return found;
}

/** Unicode's rule needs capitals to end a sentence at a full stop, and some tokenizers drop them. */
function withCapitals(text: string): string {
  if (/\p{Lu}/u.test(text)) return text;
  return text.replace(
    /([.!?]['")\]]*\s+)([a-z])/g,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}

function labelOf(sentence: string): string {
  const line = sentence.replace(/\s+/gu, " ").trim() || "white space";
  const chars = Array.from(line);
  return chars.length > LABEL ? `${chars.slice(0, LABEL).join("")}…` : line;
}

/** What the numbers of passages add up to, and what lies in none of them; in order. */
export function sumsOf(values: Float32Array, passages: readonly Passage[]): { sums: number[]; rest: number } {
  const covered = new Uint8Array(values.length);
  const sums = passages.map(({ from, to }) => {
    covered.fill(1, from, to);
    return sum(values.subarray(from, to));
  });
  return { sums, rest: sum(values.filter((_, at) => covered[at] === 0)) };
}

function sum(values: Float32Array): number {
  let total = 0;
  for (const value of values) if (!Number.isNaN(value)) total += value;
  return total;
}

/** Scores do not add up. */
export const addsUp = (measure: string): boolean => formOf(measure) !== "score";
