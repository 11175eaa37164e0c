import type { Axis } from "../attention/axis.js";
import { shown } from "../text.js";

/** What is set in one go: a token, or the part of it between two line breaks. */
export interface Piece {
  unit: number;
  /** What is read, without the white space before it. */
  text: string;
  /** Spaces before it, which may end a line. */
  lead: string;
  /** Stands for white space, or for a character begun by the token before. */
  sign: boolean;
  /** Line breaks after it. */
  breaks: number;
  /** The first of its token. */
  first: boolean;
  special: boolean;
  /** A line may end before it, where that cannot be seen by its spaces. */
  open?: boolean;
}

const BREAKS = /\r\n|[\n\r\v\f\u2028\u2029]/;
const BYTES = /(?:<0x[0-9A-F]{2}>)+/;
const TAIL = new RegExp(`^(.*?)(${BYTES.source})$`, "su");
const HEAD = new RegExp(`^(${BYTES.source})(.*)$`, "su");
const TAB = "    ";
/** What stands for a token that only goes on with a character. */
export const PENDING = "⁺";

/** A text as it was written: pieces of words joined, bytes made characters again, white space as white space. */
export function flowOf(axis: Axis, gaps: readonly number[] | undefined): Piece[] {
  const texts = joinBytes(axis.units.map(({ text }) => text));
  const flow: Piece[] = [];
  axis.units.forEach(({ from, special }, unit) => {
    const gap = gaps?.[from] ?? 0;
    const last = flow[flow.length - 1];
    if (last && gap > 1) last.breaks = Math.max(last.breaks, gap - 1);
    const text = (texts[unit] as string).replace(/^##(?=.)/u, gap === 0 && unit > 0 ? "" : "$&");
    const parts = text.split(BREAKS);
    parts.forEach((part, at) => {
      const breaks = at < parts.length - 1 ? 1 : 0;
      const before = flow[flow.length - 1];
      if (part === "" && before?.unit === unit && breaks === 1) before.breaks += 1;
      else if (part !== "" || at < parts.length - 1 || parts.length === 1)
        flow.push({ unit, ...face(part, at === 0 && gap === 1, breaks), breaks, first: at === 0, special });
    });
  });
  return flow;
}

function face(part: string, apart: boolean, breaks: number): Pick<Piece, "text" | "lead" | "sign"> {
  const white = /^[ \t]*/.exec(part)?.[0] ?? "";
  const rest = part.slice(white.length);
  const lead = white.replaceAll("\t", TAB);
  const before = apart ? " " : "";
  if (rest === PENDING) return { text: PENDING, lead: "", sign: true };
  if (rest === "" && breaks > 0) return { text: "⏎", lead: before + lead, sign: true };
  if (rest === "") return { text: white ? shown(white) : "∅", lead: before, sign: true };
  return { text: shown(rest), lead: before + lead, sign: false };
}

/** Characters whose bytes are spread over several tokens stand in the first of these. */
export function joinBytes(texts: readonly string[]): string[] {
  const out = [...texts];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let at = 0; at < out.length; at++) {
    const tail = (out[at] as string).includes("<0x") ? TAIL.exec(out[at] as string) : null;
    if (!tail) continue;
    let bytes = tail[2] as string;
    let next = at + 1;
    let rest = "";
    for (; next < out.length && rest === ""; next++) {
      const head = HEAD.exec(out[next] as string);
      if (!head) break;
      bytes += head[1];
      rest = head[2] as string;
    }
    try {
      const codes = bytes.match(/[0-9A-F]{2}(?=>)/g) ?? [];
      out[at] = `${tail[1]}${decoder.decode(Uint8Array.from(codes, (code) => Number.parseInt(code, 16)))}`;
      for (let other = at + 1; other < next; other++) out[other] = PENDING;
      if (rest !== "") out[next - 1] = rest;
      at = next - 1;
    } catch {
      // No character: the bytes stay as they are.
    }
  }
  return out;
}

const RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Whether a paragraph runs from right to left: its first letter decides. */
export function runsLeft(pieces: Iterable<Piece>): boolean {
  for (const { text, special, sign } of pieces) {
    const letter = special || sign ? null : /\p{L}/u.exec(text);
    if (letter) return RIGHT.test(letter[0]);
  }
  return false;
}
