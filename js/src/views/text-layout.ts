import { type Piece, runsLeft } from "./text-flow.js";

/** A piece where it stands, or a part of one that is longer than a line. */
export interface Placed {
  piece: Piece;
  text: string;
  /** Spaces drawn before it. */
  lead: string;
  /** The part that carries the token's name. */
  first: boolean;
}

export interface TextLine {
  placed: Placed[];
  rtl: boolean;
  /** The passage this line is the head of, with nothing else on it. */
  head: number | null;
}

/** A passage that begins on a line of its own, under a head; folded, the head is all there is. */
export interface Section {
  /** Units, the last not included. */
  from: number;
  to: number;
  passage: number;
  folded: boolean;
}

export type Measure = (text: string) => number;

// Scripts that may break between any two characters.
const SOLID = /[\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\u0e00-\u0eff\u{20000}-\u{3ffff}]/u;

/** Breaks a text into lines of a width. */
export function layOut(
  flow: readonly Piece[],
  sections: readonly Section[],
  width: number,
  measure: Measure,
): TextLine[] {
  const setter = new Setter(width, measure);
  let at = 0;
  const until = (unit: number) => {
    const from = at;
    while (at < flow.length && (flow[at] as Piece).unit < unit) at++;
    return flow.slice(from, at);
  };
  for (const { from, to, passage, folded } of sections) {
    setter.text(until(from));
    setter.lines.push({ placed: [], rtl: false, head: passage });
    const inside = until(to);
    if (!folded) setter.text(inside);
  }
  setter.text(until(Number.POSITIVE_INFINITY));
  return setter.lines;
}

class Setter {
  readonly lines: TextLine[] = [];
  #line: Placed[] = [];
  #used = 0;
  #rtl = false;

  constructor(
    readonly width: number,
    readonly measure: Measure,
  ) {}

  text(pieces: readonly Piece[]): void {
    let from = 0;
    pieces.forEach(({ breaks }, at) => {
      const last = at === pieces.length - 1;
      if (breaks === 0 && !last) return;
      this.#paragraph(pieces.slice(from, at + 1));
      from = at + 1;
      for (let blank = 1; blank < breaks && !last; blank++) this.#end();
    });
  }

  #paragraph(pieces: readonly Piece[]): void {
    this.#rtl = runsLeft(pieces);
    let opening = true;
    for (const word of wordsOf(pieces)) {
      this.#word(word, opening);
      opening = false;
    }
    this.#end();
  }

  #word(word: readonly Piece[], opening: boolean): void {
    const wide = word.reduce((sum, { text }) => sum + this.measure(text), 0);
    const written = word[0]?.lead ?? "";
    // An indentation is kept; the space a wrapped line would begin with is not.
    let lead = this.#line.length > 0 || (opening && written.length > 1) ? written : "";
    if (this.#line.length > 0 && this.#used + this.measure(lead) + wide > this.width) {
      this.#end();
      lead = "";
    }
    this.#used += lead === "" ? 0 : this.measure(lead);
    const torn = this.#used + wide > this.width;
    for (const piece of word) {
      if (torn && this.#line.length > 0 && this.#used + this.measure(piece.text) > this.width) this.#end();
      this.#place(piece, lead);
      lead = "";
    }
  }

  /** A piece longer than a line goes on in the next ones. */
  #place(piece: Piece, lead: string): void {
    const wide = this.measure(piece.text);
    const parts = wide > this.width ? tear(piece.text, this.width, this.measure) : [piece.text];
    parts.forEach((text, at) => {
      if (at > 0) this.#end();
      this.#line.push({ piece, text, lead: at === 0 ? lead : "", first: piece.first && at === 0 });
      this.#used += parts.length === 1 ? wide : this.measure(text);
    });
  }

  #end(): void {
    this.lines.push({ placed: this.#line, rtl: this.#rtl, head: null });
    this.#line = [];
    this.#used = 0;
  }
}

/** What must not be torn apart: the pieces up to the next space, or up to the next character of a script without. */
function* wordsOf(pieces: readonly Piece[]): Generator<Piece[]> {
  let word: Piece[] = [];
  for (const piece of pieces) {
    const last = word[word.length - 1];
    const solid = last && (SOLID.test(last.text.slice(-1)) || SOLID.test(piece.text.slice(0, 1)));
    if (last && (piece.open || piece.lead !== "" || last.sign || solid)) {
      yield word;
      word = [];
    }
    word.push(piece);
  }
  if (word.length > 0) yield word;
}

function tear(text: string, width: number, measure: Measure): string[] {
  const parts: string[] = [];
  let part = "";
  let used = 0;
  for (const char of text) {
    const step = measure(char);
    if (part !== "" && used + step > width) {
      parts.push(part);
      [part, used] = ["", 0];
    }
    part += char;
    used += step;
  }
  return [...parts, part];
}
