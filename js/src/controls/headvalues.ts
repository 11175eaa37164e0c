import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { textAt } from "../attention/axis.js";
import { type Domain, domainOf, strengthOf } from "../attention/strength.js";
import { atEnd, givenUp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import { watch } from "../dom.js";
import type { Reply } from "../protocol.js";
import { spoken, words } from "../text.js";

export interface Question {
  /** "pair" or the name of a statistic; empty if nothing can be asked. */
  name: string;
  label: string;
  query?: number;
  key?: number;
}

export interface HeadValues {
  question: ReadonlySignal<Question>;
  /** One number per layer (by its place, not its number) and head; undefined where it is not here. */
  valueAt(layer: number, head: number): number | undefined;
  strengthAt(layer: number, head: number): number | undefined;
  version: ReadonlySignal<number>;
  /** The numbers at the ends of the colours; undefined until there are any. */
  readonly domain: Domain | undefined;
}

const QUIET_MS = 90;

export function pairLabel({ state }: Context): string | null {
  const { activeQuery, activeKey, queries, keys } = state.now;
  if (activeQuery.value === null || activeKey.value === null) return null;
  const from = textAt(queries.value, activeQuery.value);
  const to = textAt(keys.value, activeKey.value);
  return `${spoken(from)} → ${spoken(to)}`;
}

/** Asks for what the head map is coloured by, and keeps the last answer while the next is on its way. */
export function headValues(context: Context): HeadValues {
  const { state, source, scheduler, life } = context;
  const question = computed((): Question => {
    const { kind, activeQuery, activeKey, query, key, queries, keys } = state.now;
    const { statistics } = kind.value;
    const wish = state.page.colorBy.value;
    const pair = pairLabel(context);
    const anyPin = query.value !== null || key.value !== null;
    const wantsPair = wish === "pair" || (wish === null && (anyPin || statistics.length === 0));
    if (pair && wantsPair) {
      const from = queries.value.units[activeQuery.value ?? 0]?.from ?? 0;
      return {
        name: "pair",
        label: pair,
        query: from,
        key: keys.value.units[activeKey.value ?? 0]?.from ?? 0,
      };
    }
    const name = wish && statistics.includes(wish) ? wish : (statistics[0] ?? "");
    return { name, label: words(name) };
  });

  let answer: { reply: Reply; kind: string } | null = null;
  let ends: Domain = { least: 0, most: 1 };
  let strength: (value: number) => number = () => 0;
  let asking: AbortController | null = null;
  const version = signal(0);
  const later = scheduler.settle(QUIET_MS);

  const ask = ({ name, query, key }: Question) => {
    asking?.abort(givenUp());
    asking = new AbortController();
    const { signal: wanted } = asking;
    const kind = state.now.kind.peek().kind;
    if (!name) return;
    const promise =
      query !== undefined && key !== undefined
        ? source.pair(kind, query, key, wanted)
        : source.statistic(kind, name, wanted);
    promise.then(
      (reply) => {
        if (wanted.aborted) return;
        answer = { reply, kind };
        version.value = version.peek() + 1;
      },
      (error: unknown) => {
        if (!wanted.aborted) state.page.message.value = messageOf(error);
      },
    );
  };
  atEnd(life, () => asking?.abort(life.reason));

  watch(life, () => {
    const asked = question.value;
    void state.now.kind.value;
    if (asked.name === "pair") later(() => ask(asked));
    else ask(asked);
  });
  watch(life, () => {
    void version.value;
    const color = state.synced.color_scale.value;
    const data = answer?.reply.data ?? new Float32Array(0);
    const { least, most } = domainOf([data]);
    ends = { least: question.peek().name === "pair" ? 0 : least, most };
    strength = strengthOf(color, ends, () => data);
  });

  const valueAt = (layer: number, head: number) => {
    if (!answer || answer.kind !== state.now.kind.peek().kind) return undefined;
    return answer.reply.data[layer * (answer.reply.shape[1] ?? 0) + head];
  };
  return {
    question,
    version,
    valueAt,
    get domain() {
      return answer ? ends : undefined;
    },
    strengthAt: (layer, head) => {
      const value = valueAt(layer, head);
      return value === undefined ? undefined : strength(value);
    },
  };
}
