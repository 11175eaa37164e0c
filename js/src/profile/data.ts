import { float32, int32 } from "../decode.js";
import type { Head } from "../protocol.js";
import { isCount, isCounts, isObject, ProtocolError } from "../protocol-check.js";
import { readSafetensors } from "../source/safetensors.js";
import { shown, words } from "../text.js";

const VERSION = 1;
const NO_ROLE = 255;

export interface Statistic {
  name: string;
  label: string;
  /** What it says, in a few words. */
  says: string;
  /** Whether it counts tokens; the others lie between 0 and 1. */
  tokens: boolean;
}

/** A text in which a statistic of a head is strong. */
export interface Hit {
  text: number;
  value: number;
}

export type What = "mean" | "spread";

/** What many texts show of every head; heads by the place of their layer, and their number. */
export interface Profile {
  model: string;
  kind: string;
  layers: number[];
  heads: number[];
  statistics: Statistic[];
  roles: string[];
  /** Texts and tokens that were counted, texts that were cut, and texts left out. */
  counts: { texts: number; tokens: number; cut: number; skipped: number };
  content: boolean;
  state: Record<string, unknown>;
  /** [layers × most heads]; NaN where no row counts. */
  numbers(what: What, by: string, statistic: string): Float32Array;
  /** What uniform attention would give: [layers]. */
  chance(by: string, statistic: string): Float32Array;
  /** Texts of which any row counts. */
  counted(statistic: string, at: number): number;
  fires(role: string, at: number): boolean;
  /** The role a head has by the largest margin. */
  role(at: number): string | null;
  /** The texts in which a statistic is strongest; null where they are not stored. */
  strongest(statistic: string, at: number): Hit[] | null;
  /** The beginning of a text; undefined where it is not known. */
  snippet(text: number): string | undefined;
}

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The profile's data is damaged: ${what}.`);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function readStatistic(value: unknown): Statistic {
  need(isObject(value) && isText(value.name) && isText(value.says), "a statistic is not described");
  return { name: value.name, label: words(value.name), says: value.says, tokens: value.tokens === true };
}

export function readProfile(bytes: Uint8Array): Profile {
  const file = readSafetensors(bytes);
  let page: unknown;
  try {
    page = JSON.parse(file.metadata.profile ?? "");
  } catch {
    page = null;
  }
  need(isObject(page), "its description is missing");
  need(page.version === VERSION, `version ${String(page.version)} is not version ${VERSION}`);
  const { layers, heads, by, roles, listed, kept } = page;
  need(isCounts(layers) && isCounts(heads) && layers.length === heads.length, "its heads are not described");
  need(layers.length > 0 && Array.isArray(page.statistics) && page.statistics.length > 0, "it is empty");
  need(isTexts(by) && isTexts(roles) && isTexts(listed) && isCount(kept), "it is not described");
  const statistics = page.statistics.map(readStatistic);
  const size = layers.length * Math.max(...heads);
  const names = statistics.map(({ name }) => name);
  const place = (of: readonly string[], name: string) => {
    const at = of.indexOf(name);
    if (at < 0) throw new Error(`There is no ${name} here.`);
    return at;
  };
  const tensor = (name: string, length: number) => {
    const { bytes: found, shape } = file.tensor(name);
    need(shape.reduce((product, one) => product * one, 1) === length, `${name} does not fit its heads`);
    return found;
  };
  const all = by.length * names.length;
  const numbers = {
    mean: float32(tensor("mean", all * size)),
    spread: float32(tensor("spread", all * size)),
    chance: float32(tensor("chance", all * layers.length)),
  };
  const counted = int32(tensor("counted", names.length * size));
  const [fires, role] = [tensor("fires", roles.length * size), tensor("role", size)];
  const texts = int32(tensor("numbers", listed.length * size * kept));
  const values = float32(tensor("values", listed.length * size * kept));
  const part = (from: Float32Array, by_: string, statistic: string, length: number) => {
    const at = (place(by, by_) * names.length + place(names, statistic)) * length;
    return from.subarray(at, at + length);
  };
  const snippets = isObject(page.snippets) ? page.snippets : {};
  const count = (value: unknown) => (isCount(value) ? value : 0);
  return {
    model: isText(page.model) ? shown(page.model.trim()) : "",
    kind: isText(page.kind) ? page.kind : "",
    layers,
    heads,
    statistics,
    roles,
    counts: {
      texts: count(page.texts),
      tokens: count(page.tokens),
      cut: count(page.cut),
      skipped: count(page.skipped),
    },
    content: page.content === true,
    state: isObject(page.state) ? page.state : {},
    numbers: (what, by_, statistic) => part(numbers[what], by_, statistic, size),
    chance: (by_, statistic) => part(numbers.chance, by_, statistic, layers.length),
    counted: (statistic, at) => counted[place(names, statistic) * size + at] ?? 0,
    fires: (name, at) => fires[place(roles, name) * size + at] === 1,
    role: (at) => (role[at] === NO_ROLE ? null : (roles[role[at] ?? NO_ROLE] ?? null)),
    strongest(statistic, at) {
      const list = listed.indexOf(statistic);
      if (list < 0) return null;
      const from = (list * size + at) * kept;
      return Array.from(texts.subarray(from, from + kept), (text, rank) => ({
        text,
        value: values[from + rank] as number,
      })).filter(({ text }) => text >= 0);
    },
    snippet(text) {
      const found = snippets[String(text)];
      return isText(found) ? found : undefined;
    },
  };
}

/** The place of a head among all numbers of a statistic. */
export function placeOf({ layers, heads }: Profile, [layer, head]: Head): number {
  return layers.indexOf(layer) * Math.max(...heads) + head;
}

/** The head at a place; null where the layer has none. */
export function headAt({ layers, heads }: Profile, at: number): Head | null {
  const most = Math.max(...heads);
  const row = Math.floor(at / most);
  const head = at % most;
  return head < (heads[row] ?? 0) ? [layers[row] as number, head] : null;
}
