import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { CaptureInfo, Head, KindInfo } from "../protocol.js";
import { isCount, isObject } from "../protocol-check.js";
import { State, sameHead } from "../state.js";
import { headAt, type Profile, placeOf } from "./data.js";

export type Ends = [least: number | null, most: number | null];

/** What Python sees too; heads, theme and height are the frame's. */
export interface Choices {
  color_by: string;
  x: string;
  y: string;
  by: string;
  show: string;
  ranges: Record<string, Ends>;
  layer_range: [number, number] | null;
  role: string;
}

const FRAME = ["heads", "theme", "height"] as const;
const OWN = ["color_by", "x", "y", "by", "show", "ranges", "layer_range", "role"] as const;
export const TRAITS: readonly string[] = [...FRAME, ...OWN];

export type Patch = Partial<Choices & { heads: Head[] }>;

const isEnd = (value: unknown) => value === null || (typeof value === "number" && Number.isFinite(value));
const isEnds = (value: unknown) => Array.isArray(value) && value.length === 2 && value.every(isEnd);

/** What is selected, and which heads are let through. */
export class ProfileState {
  readonly frame: State;
  readonly chosen: { readonly [Name in keyof Choices]: Signal<Choices[Name]> };
  /** The head that is pointed at. */
  readonly hovered = signal<Head | null>(null);
  /** Whether each head, by its place, is let through. */
  readonly passes: ReadonlySignal<Uint8Array>;
  /** Places of the heads let through. */
  readonly places: ReadonlySignal<number[]>;
  /** The head the page speaks of: the one selected last. */
  readonly head: ReadonlySignal<Head>;
  /** The statistic whose strongest texts are listed. */
  readonly listed: ReadonlySignal<string>;
  readonly #fits: Record<keyof Choices, (value: unknown) => boolean>;

  constructor(
    readonly profile: Profile,
    initial: Record<string, unknown>,
    readonly publish: (patch: Patch) => void = () => {},
  ) {
    const names = profile.statistics.map(({ name }) => name);
    const isName = (value: unknown) => names.includes(String(value));
    const first = names[0] as string;
    this.#fits = {
      color_by: (value) => value === "role" || isName(value),
      x: isName,
      y: isName,
      by: (value) => value === "rows" || value === "texts",
      show: (value) => value === "scatter" || value === "table",
      ranges: (value) =>
        isObject(value) && Object.entries(value).every(([name, ends]) => isName(name) && isEnds(ends)),
      layer_range: (value) =>
        value === null || (Array.isArray(value) && value.length === 2 && value.every(isCount)),
      role: (value) => value === "" || profile.roles.includes(String(value)),
    };
    const defaults: Choices = {
      color_by: first,
      x: first,
      y: names[1] ?? first,
      by: "rows",
      show: "scatter",
      ranges: {},
      layer_range: null,
      role: "",
    };
    const start = Object.fromEntries(
      OWN.map((name) => [name, signal(this.#fits[name](initial[name]) ? initial[name] : defaults[name])]),
    );
    this.chosen = start as unknown as ProfileState["chosen"];
    this.frame = new State(describedAs(profile), initial, ({ heads }) => heads && publish({ heads }));
    const { by, ranges, layer_range: layers, role } = this.chosen;
    this.passes = computed(() => passing(profile, by.value, ranges.value, layers.value, role.value));
    this.places = computed(() => [...this.passes.value.keys()].filter((at) => this.passes.value[at] === 1));
    this.head = computed(() => this.frame.now.heads.value.at(-1) as Head);
    this.listed = computed(() => this.#listed(first));
  }

  /** A change made in the page. */
  set({ heads, ...own }: Patch): void {
    batch(() => {
      for (const [name, value] of Object.entries(own)) this.#write(name, value);
    });
    if (Object.keys(own).length > 0) this.publish(own);
    if (heads) this.frame.set({ heads });
  }

  /** A change that comes from outside; what does not fit is ignored. */
  receive(name: string, value: unknown): void {
    if (FRAME.some((one) => one === name)) this.frame.receive(name as (typeof FRAME)[number], value);
    else if (this.#fits[name as keyof Choices]?.(value)) this.#write(name, value);
  }

  /** Says which head is pointed at. */
  point(head: Head | null): void {
    const before = this.hovered.peek();
    if (head && before ? !sameHead(head, before) : head !== before) this.hovered.value = head;
  }

  /** All that is chosen, by the names Python has. */
  all(): Record<string, unknown> {
    const { heads, theme, height } = this.frame.synced;
    const own = OWN.map((name) => [name, this.chosen[name].value]);
    return { ...Object.fromEntries(own), heads: heads.value, theme: theme.value, height: height.value };
  }

  label(statistic: string): string {
    return this.profile.statistics.find(({ name }) => name === statistic)?.label ?? statistic;
  }

  #write(name: string, value: unknown): void {
    const target = this.chosen[name as keyof Choices] as Signal<unknown>;
    if (JSON.stringify(target.peek()) !== JSON.stringify(value)) target.value = value;
  }

  /** Where heads are coloured by role, the statistic that is the score of the head's own. */
  #listed(first: string): string {
    const { profile } = this;
    const wish = this.chosen.color_by.value;
    if (wish !== "role") return wish;
    const role = profile.role(placeOf(profile, this.head.value));
    const score = role && profile.statistics.find(({ name }) => [role, `${role}_share`].includes(name));
    return score ? score.name : first;
  }
}

function describedAs({ model, kind, layers, heads, statistics }: Profile): CaptureInfo {
  const none = { text: [], special: [], words: [], segments: null };
  const info: KindInfo = {
    kind,
    label: kind,
    layers,
    heads,
    queries: none,
    keys: null,
    causal: false,
    measures: ["weights"],
    statistics: statistics.map(({ name }) => name),
    notes: { row_sums: null, dtype: null, check: null, masked: null, error: null, blind: 0, unchecked: [] },
  };
  return { version: 1, model, kinds: [info], runs: false };
}

/** Which heads are let through; `attnscope.wire.profile_heads` has the same. */
export function passing(
  profile: Profile,
  by: string,
  ranges: Record<string, Ends>,
  layers: readonly [number, number] | null,
  role: string,
): Uint8Array {
  const asked = Object.entries(ranges).map(
    ([name, ends]) => [profile.numbers("mean", by, name), ends] as const,
  );
  const size = profile.layers.length * Math.max(...profile.heads);
  return Uint8Array.from({ length: size }, (_, at) => {
    const head = headAt(profile, at);
    if (!head || (layers && (head[0] < layers[0] || head[0] > layers[1]))) return 0;
    if (role && !profile.fires(role, at)) return 0;
    const within = asked.every(([values, [least, most]]) => {
      const value = values[at] as number;
      return value >= (least ?? Number.NEGATIVE_INFINITY) && value <= (most ?? Number.POSITIVE_INFINITY);
    });
    return within ? 1 : 0;
  });
}
