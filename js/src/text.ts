export interface Piece {
  text: string;
  /** A sign that stands for white space. */
  sign: boolean;
}

const SIGNS: Record<string, string> = { "\n": "⏎", "\r": "␍", "\t": "⇥" };

/** A token as it is shown: white space at its ends, and all that breaks a line, becomes a sign. */
export function pieces(token: string): Piece[] {
  if (token === "") return [{ text: "∅", sign: true }];
  const lead = /^ */.exec(token)?.[0].length ?? 0;
  const trail = lead < token.length ? (/ *$/.exec(token)?.[0].length ?? 0) : 0;
  const out: Piece[] = [];
  const push = (text: string, sign: boolean) => {
    const last = out[out.length - 1];
    if (last && last.sign === sign) last.text += text;
    else out.push({ text, sign });
  };
  [...token].forEach((char, at, chars) => {
    if (at < lead || at >= chars.length - trail) push("·", true);
    else if (char in SIGNS) push(SIGNS[char] as string, true);
    else push(char, false);
  });
  return out;
}

export const shown = (token: string): string =>
  pieces(token)
    .map((piece) => piece.text)
    .join("");

/** A token inside a sentence of the page. */
export const spoken = (token: string): string => token.trim() || shown(token);

export function words(name: string): string {
  return name.replaceAll("_", " ");
}

export function fixed(value: number, digits = 3): string {
  if (Number.isNaN(value)) return "masked";
  if (value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits) return value.toExponential(1);
  return value.toFixed(digits);
}

export function contains(text: string, wanted: string): boolean {
  const needle = wanted.trim().toLocaleLowerCase();
  return needle !== "" && text.toLocaleLowerCase().includes(needle);
}
