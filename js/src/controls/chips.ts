import { signal } from "@preact/signals-core";
import type { Context } from "../context.js";
import { watch } from "../dom.js";
import type { Head, KindInfo, Reply } from "../protocol.js";
import { fixed, words } from "../text.js";

const PATTERNS = [
  "previous_token",
  "next_token",
  "self_share",
  "duplicate_token",
  "induction",
  "sink_share",
  "special_share",
];
/** Share of the way from chance to all weight on a pattern, and the entropy, from which a head is said to have a role;
 * the same as in Python's head_roles(). */
const CLEAR = 0.5;
const BROAD = 0.9;
/** Above this many tokens only what the reader asks for is computed. */
const MOST_TOKENS = 1024;

/** What is known of a head's habits, in a few words. */
export function headChips(context: Context): (head: Head) => string[] {
  const { state, source, life } = context;
  const replies = new Map<string, Reply>();
  const version = signal(0);
  watch(life, () => {
    const kind = state.now.kind.value;
    const few = kind.queries.text.length <= MOST_TOKENS;
    const asked = kind.statistics.filter((name) => name === "entropy" || (few && PATTERNS.includes(name)));
    for (const name of asked) {
      if (replies.has(`${kind.kind}|${name}`)) continue;
      source.statistic(kind.kind, name, life).then(
        (reply) => {
          replies.set(`${kind.kind}|${name}`, reply);
          version.value = version.peek() + 1;
        },
        () => {},
      );
    }
  });
  const read = (kind: KindInfo, name: string, [layer, head]: Head) => {
    const reply = replies.get(`${kind.kind}|${name}`);
    return reply?.data[kind.layers.indexOf(layer) * (reply.shape[1] ?? 0) + head] ?? Number.NaN;
  };
  const chanceOf = (kind: KindInfo, name: string, [layer]: Head) => {
    const levels = replies.get(`${kind.kind}|${name}`)?.info?.chance;
    const level: unknown = Array.isArray(levels) ? levels[kind.layers.indexOf(layer)] : null;
    return typeof level === "number" ? level : Number.NaN;
  };
  return (head) => {
    void version.value;
    const kind = state.now.kind.value;
    const found: string[] = [];
    const scores = PATTERNS.map((name) => {
      const score = read(kind, name, head);
      const chance = chanceOf(kind, name, head);
      return { name, score, chance, margin: (score - chance) / (1 - chance) };
    }).filter(({ margin }) => margin >= CLEAR);
    const best = scores.sort((a, b) => b.margin - a.margin)[0];
    const entropy = read(kind, "entropy", head);
    if (best) {
      found.push(`${words(best.name)} ${fixed(best.score, 2)}`, `chance ${fixed(best.chance, 2)}`);
    } else if (entropy >= BROAD) found.push("broad");
    if (!Number.isNaN(entropy)) found.push(`entropy ${fixed(entropy, 2)}`);
    return found;
  };
}
