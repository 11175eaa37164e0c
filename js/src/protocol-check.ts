/** Reading what crosses the wire: nothing is believed before it is checked. */
import {
  type AlignmentInfo,
  type CaptureInfo,
  type CompareInfo,
  type DataRequest,
  type Fields,
  type Head,
  type KindInfo,
  type Notes,
  type Patch,
  type Progress,
  type Run,
  type Span,
  type TokensInfo,
  type Turn,
  VERSION,
  type WireReply,
} from "./protocol.js";
import { shown } from "./text.js";

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

export const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => typeof text === "string");

export function isSpan(value: unknown): value is Span {
  return isCounts(value) && value.length === 2 && (value[0] as number) <= (value[1] as number);
}

export function isHead(value: unknown): value is Head {
  return isCounts(value) && value.length === 2;
}

export class ProtocolError extends Error {
  override name = "ProtocolError";
}

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The capture's description is not readable: ${what}`);
}

const isPatch = (value: unknown): value is Patch =>
  isCounts(value) &&
  value.length === 4 &&
  (value[0] as number) < (value[2] as number) &&
  (value[1] as number) < (value[3] as number);

const isSeconds = (value: unknown): value is readonly [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);

/** Guards a list with one entry per token, null where a token has none. */
function isPerTokenOf<T>(isEntry: (value: unknown) => value is T) {
  return (value: unknown, tokens: number): value is (T | null)[] =>
    Array.isArray(value) &&
    value.length === tokens &&
    value.every((entry) => entry === null || isEntry(entry));
}

const isTurn = (value: unknown): value is Turn =>
  Array.isArray(value) && value.length === 3 && isSpan(value.slice(0, 2)) && typeof value[2] === "string";

export function readTokens(value: unknown, where: string): TokensInfo {
  need(isObject(value), `${where} is missing`);
  const { text, special, words, segments, patches, times, gaps, turns } = value;
  need(isTexts(text), `${where}.text must be a list of texts`);
  const places = placesOf(value, text.length);
  const length = places?.count ?? text.length;
  /** Of a part of the tokens, the list of all, with something in the places that are not known. */
  const whole = <Item>(items: Item[], unknown: (at: number) => Item): Item[] => {
    if (!places) return items;
    const all = Array.from({ length }, (_, at) => unknown(at));
    places.known.forEach((place, at) => {
      all[place] = items[at] as Item;
    });
    return all;
  };
  const inside = (positions: unknown) => isCounts(positions) && positions.every((at) => at < length);
  const perToken = (numbers: unknown): numbers is number[] =>
    Array.isArray(numbers) && numbers.length === text.length && numbers.every(Number.isInteger);
  return {
    text: whole(text, () => "…"),
    special: inside(special) ? (special as number[]) : [],
    words: perToken(words) ? whole(words, () => -1) : Array.from({ length }, (_, index) => index),
    segments: perToken(segments) ? whole(segments, () => 0) : null,
    ...(isPerTokenOf(isPatch)(patches, text.length) && { patches: whole(patches, () => null) }),
    ...(isPerTokenOf(isSeconds)(times, text.length) && { times: whole(times, () => null) }),
    ...(isCounts(gaps) && gaps.length === text.length && { gaps: whole(gaps, () => 0) }),
    ...(Array.isArray(turns) && turns.every(isTurn) && { turns: turns.filter(([, to]) => to <= length) }),
    ...(places && { partial: true }),
  };
}

/** Which of how many tokens are described; null where all are. */
function placesOf({ count, spans }: Fields, given: number): { count: number; known: number[] } | null {
  if (count === undefined) return null;
  need(isCount(count) && Array.isArray(spans) && spans.every(isSpan), "a part of a text must say which");
  const known = spans.flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at));
  need(known.length === given && known.every((at) => at < count), "a part of a text does not fit");
  return { count, known };
}

/** A name somebody gave, which the page shows as text of its own. */
function readName(value: unknown): string {
  const name = typeof value === "string" ? value.trim() : "";
  return name && shown(name);
}

/** One name per head of each layer, all different; else none at all. */
function readNames(value: unknown, heads: readonly number[]): string[][] | null {
  if (!Array.isArray(value) || value.length !== heads.length || !value.every(isTexts)) return null;
  const names = value.map((layer: string[]) => layer.map(readName));
  const all = names.flat();
  const whole = names.every((layer, at) => layer.length === heads[at]) && all.every((name) => name !== "");
  return whole && new Set(all).size === all.length ? names : null;
}

function readNumber(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function readKept(value: unknown): Pick<Notes, "kept"> {
  if (!isObject(value) || typeof value.dtype !== "string") return {};
  const error = readNumber(value.error);
  return error === null ? {} : { kept: { dtype: value.dtype, error } };
}

function readNotes(value: unknown): Notes {
  const notes = isObject(value) ? value : {};
  const sums = notes.row_sums;
  const [least, most] = Array.isArray(sums) ? sums.map(readNumber) : [null, null];
  return {
    row_sums: least != null && most != null ? [least, most] : null,
    dtype: typeof notes.dtype === "string" ? notes.dtype : null,
    check: readNumber(notes.check),
    masked: readNumber(notes.masked),
    error: readNumber(notes.error),
    blind: isCount(notes.blind) ? notes.blind : 0,
    unchecked: isCounts(notes.unchecked) ? notes.unchecked : [],
    ...readKept(notes.kept),
  };
}

function readKind(value: unknown): KindInfo {
  need(isObject(value) && typeof value.kind === "string", "a kind has no name");
  const { kind, layers, heads, names, measures, statistics } = value;
  need(isCounts(layers) && layers.length > 0, `${kind}.layers must list at least one layer`);
  need(isCounts(heads) && heads.length === layers.length, `${kind}.heads must name the heads of each layer`);
  const given = readNames(names, heads);
  return {
    kind,
    label: readName(value.label) || kind,
    layers,
    heads,
    ...(given && { names: given }),
    queries: readTokens(value.queries, `${kind}.queries`),
    keys: value.keys == null ? null : readTokens(value.keys, `${kind}.keys`),
    causal: value.causal === true,
    measures: isTexts(measures) && measures.length > 0 ? measures : ["weights"],
    statistics: isTexts(statistics) ? statistics : [],
    notes: readNotes(value.notes),
  };
}

export function readCapture(value: unknown): CaptureInfo {
  need(isObject(value), "it is empty");
  need(value.version === VERSION, `version ${String(value.version)} is not version ${VERSION}`);
  need(Array.isArray(value.kinds) && value.kinds.length > 0, "it has no kind of attention");
  const { pictures } = value;
  const sizes = Array.isArray(pictures) && pictures.every((size) => isCounts(size) && size.length === 2);
  return {
    version: VERSION,
    model: readName(value.model),
    kinds: value.kinds.map(readKind),
    ...(sizes && { pictures: pictures as [number, number][] }),
    runs: value.runs === true,
  };
}

export function readProgress(value: unknown): Progress | null {
  if (!isObject(value) || !isCount(value.done)) return null;
  return { done: value.done, total: isCount(value.total) ? value.total : null, label: readName(value.label) };
}

const isRun = (value: unknown): value is Run => isCounts(value) && value.length === 3;

/** The second capture, if there is one. */
export function readCompare(value: unknown): CompareInfo | undefined {
  if (!isObject(value) || value.capture === undefined) return undefined;
  const capture = readCapture(value.capture);
  const { kinds, refused } = value;
  need(isObject(kinds), "what is compared is missing");
  const read: Record<string, AlignmentInfo> = {};
  for (const [kind, entry] of Object.entries(kinds)) {
    need(isObject(entry), `what is compared of ${kind} is missing`);
    const { layers, queries, keys } = entry;
    const runs = (found: unknown): found is Run[] => Array.isArray(found) && found.every(isRun);
    need(isCounts(layers) && runs(queries) && runs(keys), `${kind} is not aligned`);
    read[kind] = { layers, queries, keys };
  }
  const reasons = isObject(refused) ? Object.entries(refused) : [];
  return {
    capture,
    kinds: read,
    refused: Object.fromEntries(reasons.map(([kind, reason]) => [kind, String(reason)])),
  };
}

export function isRequest(value: unknown): value is DataRequest {
  if (!isObject(value) || typeof value.kind !== "string") return false;
  switch (value.type) {
    case "weights":
      return (
        typeof value.measure === "string" &&
        Array.isArray(value.heads) &&
        value.heads.every(isHead) &&
        isSpan(value.queries) &&
        isSpan(value.keys)
      );
    case "overview":
      return isCount(value.layer) && isCount(value.head) && isCount(value.size);
    case "overviews":
      return Array.isArray(value.heads) && value.heads.every(isHead) && isCount(value.size);
    case "likeness":
    case "roles":
    case "findings":
    case "links":
      return true;
    case "ablate":
      return Array.isArray(value.heads) && value.heads.every(isHead);
    case "statistic":
      return typeof value.statistic === "string";
    case "pair":
      return isCount(value.query) && isCount(value.key);
    case "steps":
      return isCount(value.layer) && isCount(value.head) && isCount(value.query);
    case "flow":
      return isCount(value.query) && isCount(value.level) && isCount(value.edges);
    case "figure":
      return isObject(value.state) && isObject(value.choices);
    case "picture":
      return isCount(value.number);
    case "tokens":
      return value.side === "queries" || value.side === "keys";
    case "evolution":
      return isCount(value.query) && (value.head === null || isCount(value.head));
    case "vectors":
      return isCount(value.layer) && isCount(value.head) && isCount(value.query) && isSpan(value.keys);
    default:
      return false;
  }
}

export function isReply(value: unknown): value is WireReply {
  if (!isObject(value) || typeof value.id !== "string") return false;
  if (value.error !== undefined) return isObject(value.error) && typeof value.error.message === "string";
  return value.type === "hello" || (isCounts(value.shape) && value.dtype === "float32");
}
