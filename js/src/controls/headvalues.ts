import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { textAt } from "../attention/axis.js";
import { type Domain, domainOf, strengthOf } from "../attention/strength.js";
import { atEnd, givenUp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import { watch } from "../dom.js";
import type { KindInfo, Reply } from "../protocol.js";
import { spoken, words } from "../text.js";
import { type Role, roleAt } from "./roles.js";
import { MOST_COLORED, weightsOf } from "./work.js";

export interface Question {
  /** "pair", "role" or the name of a statistic; empty if nothing can be asked. */
  name: string;
  label: string;
  query?: number;
  key?: number;
}

export interface HeadValues {
  question: ReadonlySignal<Question>;
  /** What the numbers are: the last answer's question, while the next is on its way. */
  readonly label: string;
  /** One number per layer (by its place, not its number) and head; undefined where it is not here. */
  valueAt(layer: number, head: number): number | undefined;
  strengthAt(layer: number, head: number): number | undefined;
  version: ReadonlySignal<number>;
  /** The role of a head where heads are coloured by role; null for one without a clear role. */
  roleAt(layer: number, head: number): Role | null | undefined;
  /** Whether what is shown are roles: the last answer's, while the next is on its way. */
  readonly byRole: boolean;
  /** The numbers at the ends of the colours; undefined until there are any, or where colours stand for roles. */
  readonly domain: Domain | undefined;
}

/** Of a capture, whose numbers are computed when they are asked for. */
export interface AskedValues extends HeadValues {
  /** Whether that takes so long that it is computed only once somebody says so. */
  withheld: ReadonlySignal<boolean>;
  /** Has it computed all the same. */
  insist(): void;
}

const QUIET_MS = 90;

export function pairLabel({ state }: Context): string | null {
  const { activeQuery, activeKey, queries, keys } = state.now;
  if (activeQuery.value === null || activeKey.value === null) return null;
  const from = textAt(queries.value, activeQuery.value);
  const to = textAt(keys.value, activeKey.value);
  return `${spoken(from)} → ${spoken(to)}`;
}

/** What heads are to be coloured by: where nothing was chosen, a comparison shows what changed. */
function wishOf(chosen: string, view: string, { statistics }: KindInfo): string {
  return chosen === "auto" && view === "compare" && statistics.includes("change") ? "change" : chosen;
}

/** Asks for what the head map is coloured by, and keeps the last answer while the next is on its way. */
export function headValues(context: Context): AskedValues {
  const { state, source, scheduler, life } = context;
  const question = computed((): Question => {
    const { kind, activeQuery, activeKey, query, key, queries, keys } = state.now;
    const { statistics } = kind.value;
    const wish = wishOf(state.synced.color_by.value, state.synced.view.value, kind.value);
    const pair = pairLabel(context);
    const anyPin = query.value !== null || key.value !== null;
    const wantsPair = wish === "pair" || (wish === "auto" && (anyPin || statistics.length === 0));
    if (pair && wantsPair) {
      const from = queries.value.units[activeQuery.value ?? 0]?.from ?? 0;
      return {
        name: "pair",
        label: pair,
        query: from,
        key: keys.value.units[activeKey.value ?? 0]?.from ?? 0,
      };
    }
    const name = wish === "role" || statistics.includes(wish) ? wish : (statistics[0] ?? "");
    return { name, label: words(name) };
  });

  const wished: Signal<ReadonlySet<string>> = signal(new Set());
  const wishName = () => `${state.now.kind.value.kind}|${question.value.name}`;
  const withheld = computed(() => {
    const { name } = question.value;
    const kind = state.now.kind.value;
    if (name === "" || name === "pair" || kind.stored || source.status.value === "stored") return false;
    return weightsOf(kind) > MOST_COLORED && !wished.value.has(wishName());
  });

  let answer: { reply: Reply; kind: string; asked: Question } | null = null;
  let ends: Domain = { least: 0, most: 1 };
  let strength: (value: number) => number = () => 0;
  let asking: AbortController | null = null;
  const version = signal(0);
  const later = scheduler.settle(QUIET_MS);

  const show = (found: typeof answer) => {
    answer = found;
    version.value = version.peek() + 1;
  };
  const ask = (asked: Question) => {
    const { name, query, key } = asked;
    asking?.abort(givenUp());
    asking = new AbortController();
    const { signal: wanted } = asking;
    const kind = state.now.kind.peek().kind;
    if (!name || withheld.peek()) {
      if (answer) show(null);
      return;
    }
    const promise =
      query !== undefined && key !== undefined
        ? source.pair(kind, query, key, wanted)
        : name === "role"
          ? source.ask({ type: "roles", kind }, wanted)
          : source.statistic(kind, name, wanted);
    promise.then(
      (reply) => {
        if (!wanted.aborted) show({ reply, kind, asked });
      },
      (error: unknown) => {
        if (wanted.aborted) return;
        show(null);
        state.page.message.value = messageOf(error);
      },
    );
  };
  atEnd(life, () => asking?.abort(life.reason));

  watch(life, () => {
    const asked = question.value;
    void [state.now.kind.value, withheld.value];
    if (asked.name !== "pair") return ask(asked);
    later(() => {
      // By the time it is quiet, something else may have been asked, and answered.
      if (question.peek() === asked) ask(asked);
    });
  });
  watch(life, () => {
    void version.value;
    const color = state.synced.color_scale.value;
    const data = answer?.reply.data ?? new Float32Array(0);
    const { least, most } = domainOf([data]);
    ends = { least: answer?.asked.name === "pair" ? 0 : least, most };
    strength = strengthOf(color, ends, () => data);
  });

  const valueAt = (layer: number, head: number) => {
    if (!answer || answer.kind !== state.now.kind.peek().kind) return undefined;
    const [, most = 0] = answer.reply.shape;
    const at = layer * most + head;
    return answer.reply.data[isRole() ? 3 * at + 1 : at];
  };
  const isRole = () => answer?.asked.name === "role" && answer.kind === state.now.kind.peek().kind;
  return {
    question,
    withheld,
    insist: () => {
      wished.value = new Set([...wished.peek(), wishName()]);
    },
    version,
    get label() {
      return answer?.asked.label ?? "";
    },
    valueAt,
    get byRole() {
      return isRole();
    },
    get domain() {
      return answer && !isRole() ? ends : undefined;
    },
    roleAt: (layer, head) => (answer && isRole() ? roleAt(answer.reply, layer, head) : undefined),
    strengthAt: (layer, head) => {
      const value = valueAt(layer, head);
      return value === undefined ? undefined : strength(value);
    },
  };
}
