export interface Piece {
  text: string;
  /** A sign that stands for white space. */
  sign: boolean;
}

const SIGNS: Record<string, string> = { " ": "·", "\r": "⇤", "\t": "⇥" };
const BREAK = /[\n\v\f\u2028\u2029]/;
const UNREADABLE = "\ufffd";
// White space at the ends, and all that is not seen or acts on the text around it: controls and formats other than
// joiners and Arabic number signs.
const SIGN =
  /((?:^ +| +$|(?![\p{Join_C}\u0600-\u0605\u06dd\u0890\u0891\u08e2])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{NChar}])+)/u;

const signOf = (char: string) => SIGNS[char] ?? (BREAK.test(char) ? "⏎" : UNREADABLE);

/** A token as it is shown: what would not be seen, or would act on other text, becomes a sign. */
export function pieces(token: string): Piece[] {
  if (/^\p{Join_C}*$/u.test(token)) return [{ text: token ? UNREADABLE : "∅", sign: true }];
  return token
    .split(SIGN)
    .map((text, at) => ({ text: at % 2 ? Array.from(text, signOf).join("") : text, sign: at % 2 === 1 }))
    .filter(({ text }) => text);
}

export const shown = (token: string): string =>
  pieces(token)
    .map((piece) => piece.text)
    .join("");

/** A token inside a sentence of the page. */
export const spoken = (token: string): string => shown(token.trim() || token);

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
