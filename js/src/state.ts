import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { type Axis, makeAxis } from "./attention/axis.js";
import type { ColorScale } from "./attention/strength.js";
import { clamp } from "./basics.js";
import type { CaptureInfo, Head, KindInfo, Progress, TokensInfo } from "./protocol.js";
import { isCount, isHead, isObject, isSpan } from "./protocol-check.js";

/** A user's own passage of the text, in tokens. */
export interface UserSpan {
  from: number;
  to: number;
  label: string;
  side?: Side;
}

/** What Python sees too. */
export interface Traits {
  kind: string;
  view: string;
  layer: number;
  heads: Head[];
  query: number | null;
  key: number | null;
  /** Further queries taken together with the pinned one. */
  more_queries: number[];
  /** Further keys taken together with the pinned one. */
  more_keys: number[];
  measure: string;
  aggregate: "none" | "mean" | "max";
  threshold: number;
  special_tokens: boolean;
  whole_words: boolean;
  color_scale: ColorScale;
  theme: "auto" | "light" | "dark";
  height: number;
  spans: UserSpan[];
  group_by: string;
  visible_spaces: boolean;
  /** What the head map is coloured by: auto, pair, role or a statistic. */
  color_by: string;
  /** The order of the grid: layer, likeness, role or a statistic. */
  order_by: string;
}

export const DEFAULTS: Traits = {
  kind: "",
  view: "links",
  layer: 0,
  heads: [],
  query: null,
  key: null,
  more_queries: [],
  more_keys: [],
  measure: "weights",
  aggregate: "none",
  threshold: 0.05,
  special_tokens: true,
  whole_words: false,
  color_scale: "linear",
  theme: "auto",
  height: 480,
  spans: [],
  group_by: "auto",
  visible_spaces: false,
  color_by: "auto",
  order_by: "layer",
};

export const TRAITS = Object.keys(DEFAULTS) as (keyof Traits)[];

const oneOf =
  (...choices: string[]) =>
  (value: unknown) =>
    typeof value === "string" && choices.includes(value);
const isText = (value: unknown) => typeof value === "string";
const isFlag = (value: unknown) => typeof value === "boolean";
const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isPositions = (value: unknown) => Array.isArray(value) && value.every(isCount);
const isPosition = (value: unknown) => value === null || isCount(value);

const isUserSpan = (value: unknown): value is UserSpan =>
  isObject(value) && isSpan([value.from, value.to]) && isText(value.label);

const FITS: Record<keyof Traits, (value: unknown) => boolean> = {
  kind: isText,
  view: isText,
  layer: isCount,
  heads: (value) => Array.isArray(value) && value.every(isHead),
  query: isPosition,
  key: isPosition,
  more_queries: isPositions,
  more_keys: isPositions,
  measure: isText,
  aggregate: oneOf("none", "mean", "max"),
  threshold: isNumber,
  special_tokens: isFlag,
  whole_words: isFlag,
  color_scale: oneOf("linear", "log", "rank"),
  theme: oneOf("auto", "light", "dark"),
  height: isNumber,
  spans: (value) => Array.isArray(value) && value.every(isUserSpan),
  group_by: isText,
  visible_spaces: isFlag,
  color_by: isText,
  order_by: isText,
};

export type Side = "query" | "key";

/** What belongs to this one view: nothing here reaches Python. */
export interface PageSignals {
  hoverQuery: Signal<number | null>;
  hoverKey: Signal<number | null>;
  /** What is searched for. */
  wanted: Signal<string>;
  /** Whether the table of exact numbers is open. */
  table: Signal<boolean>;
  /** What the kernel is still at work on. */
  progress: Signal<Progress | null>;
  message: Signal<string>;
  spoken: Signal<string>;
  dark: Signal<boolean>;
  narrow: Signal<boolean>;
  /** The head map has the room of the view. */
  wideHeads: Signal<boolean>;
}

type Sides<Value> = { readonly [Name in Side]: ReadonlySignal<Value> };

export interface Derived {
  kind: ReadonlySignal<KindInfo>;
  heads: ReadonlySignal<Head[]>;
  layer: ReadonlySignal<number>;
  measure: ReadonlySignal<string>;
  threshold: ReadonlySignal<number>;
  query: ReadonlySignal<number | null>;
  key: ReadonlySignal<number | null>;
  /** All pinned units of a side, the first pinned first. */
  pinned: Sides<readonly number[]>;
  /** What is in question: what is pointed at, else what is pinned. */
  active: Sides<readonly number[]>;
  queries: ReadonlySignal<Axis>;
  keys: ReadonlySignal<Axis>;
  activeQuery: ReadonlySignal<number | null>;
  activeKey: ReadonlySignal<number | null>;
}

export const sameHead = (a: Head, b: Head): boolean => a[0] === b[0] && a[1] === b[1];

function distinct(heads: readonly Head[]): Head[] {
  return heads.filter((head, at) => heads.findIndex((other) => sameHead(other, head)) === at);
}

export function headsIn(kind: KindInfo, layer: number): number {
  return kind.heads[kind.layers.indexOf(layer)] ?? 0;
}

/** Layer and heads follow each other; Python holds the same rule. */
export function couple(kind: KindInfo, heads: readonly Head[], patch: Partial<Traits>): Partial<Traits> {
  if (patch.heads !== undefined) {
    const chosen = distinct(patch.heads);
    const last = chosen[chosen.length - 1];
    return { ...patch, heads: chosen, ...(last && { layer: last[0] }) };
  }
  const { layer } = patch;
  if (layer === undefined || heads.some(([other]) => other === layer)) return patch;
  const most = Math.max(0, headsIn(kind, layer) - 1);
  return { ...patch, heads: distinct(heads.map(([, head]): Head => [layer, Math.min(head, most)])) };
}

type Signals = { readonly [Name in keyof Traits]: Signal<Traits[Name]> };

export class State {
  readonly synced: Signals;
  readonly page: PageSignals;
  readonly now: Derived;
  /** Counts how often more of the capture became known. */
  readonly #known = signal(0);

  constructor(
    readonly capture: CaptureInfo,
    initial: Partial<Record<keyof Traits, unknown>>,
    readonly publish: (patch: Partial<Traits>) => void = () => {},
  ) {
    this.synced = Object.fromEntries(
      TRAITS.map((name) => [name, signal(FITS[name](initial[name]) ? initial[name] : DEFAULTS[name])]),
    ) as unknown as Signals;
    this.page = {
      hoverQuery: signal<number | null>(null),
      hoverKey: signal<number | null>(null),
      wanted: signal(""),
      table: signal(false),
      progress: signal<Progress | null>(null),
      message: signal(""),
      spoken: signal(""),
      dark: signal(false),
      narrow: signal(false),
      wideHeads: signal(false),
    };
    this.now = derive(capture, this.synced, this.page, this.#known);
  }

  /** Puts all tokens of a side in the place of the first of them. */
  complete(kind: string, side: "queries" | "keys", tokens: TokensInfo): void {
    const { kinds } = this.capture;
    const at = kinds.findIndex((one) => one.kind === kind);
    kinds[at] = { ...(kinds[at] as KindInfo), [side]: tokens };
    this.#known.value = this.#known.peek() + 1;
  }

  /** Makes an effect follow all that decides what is drawn, what is pointed at included. */
  follow(): void {
    const { synced, now, page } = this;
    const { pinned, active, ...one } = now;
    const all: ReadonlySignal<unknown>[] = [
      ...Object.values(synced),
      ...Object.values(one),
      ...Object.values(pinned),
      ...Object.values(active),
    ];
    for (const each of [...all, page.dark, page.wanted]) void each.value;
  }

  /** A change made in the page. */
  set(patch: Partial<Traits>): void {
    const whole = couple(this.now.kind.value, this.now.heads.value, patch);
    this.#write(whole);
    this.publish(whole);
  }

  /** A change that comes from outside; what does not fit is ignored. */
  receive(name: keyof Traits, value: unknown): void {
    if (FITS[name](value)) this.#write({ [name]: value });
  }

  #write(patch: Partial<Traits>): void {
    batch(() => {
      for (const name of Object.keys(patch) as (keyof Traits)[]) {
        const target = this.synced[name] as Signal<unknown>;
        const value = patch[name];
        if (JSON.stringify(target.peek()) !== JSON.stringify(value)) target.value = value;
      }
    });
  }
}

function derive(
  { kinds }: CaptureInfo,
  synced: Signals,
  page: PageSignals,
  known: ReadonlySignal<number>,
): Derived {
  const kind = computed(() => {
    void known.value;
    return kinds.find((entry) => entry.kind === synced.kind.value) ?? (kinds[0] as KindInfo);
  });
  const layer = computed(() => {
    const { layers } = kind.value;
    return layers.includes(synced.layer.value) ? synced.layer.value : (layers[0] as number);
  });
  const heads = computed(() => {
    const fitting = synced.heads.value.filter(([at, head]) => head < headsIn(kind.value, at));
    return fitting.length > 0 ? distinct(fitting) : [[layer.value, 0] as Head];
  });
  const queries = computed(() => makeAxis(kind.value.queries, synced.whole_words.value));
  const keys = computed(() => makeAxis(kind.value.keys ?? kind.value.queries, synced.whole_words.value));
  const unit = (axis: Axis, at: number | null) => (at === null ? null : (axis.unitOf[at] ?? null));
  const query = computed(() => unit(queries.value, synced.query.value));
  const key = computed(() => unit(keys.value, synced.key.value));
  const group = (
    axis: ReadonlySignal<Axis>,
    first: ReadonlySignal<number | null>,
    more: ReadonlySignal<number[]>,
  ) =>
    computed(() => {
      if (first.value === null) return [];
      const others = more.value.map((at) => axis.value.unitOf[at]).filter((at) => at !== undefined);
      return [...new Set([first.value, ...others])];
    });
  const pinned = {
    query: group(queries, query, synced.more_queries),
    key: group(keys, key, synced.more_keys),
  };
  const active = (hover: Signal<number | null>, side: Side) =>
    computed(() => (hover.value === null ? pinned[side].value : [hover.value]));
  return {
    kind,
    layer,
    heads,
    queries,
    keys,
    query,
    key,
    pinned,
    active: { query: active(page.hoverQuery, "query"), key: active(page.hoverKey, "key") },
    measure: computed(() => {
      const { measures } = kind.value;
      return measures.includes(synced.measure.value) ? synced.measure.value : (measures[0] as string);
    }),
    threshold: computed(() => clamp(synced.threshold.value, 0, 1)),
    activeQuery: computed(() => page.hoverQuery.value ?? query.value),
    activeKey: computed(() => page.hoverKey.value ?? key.value),
  };
}
