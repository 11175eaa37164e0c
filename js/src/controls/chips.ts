import { signal } from "@preact/signals-core";
import type { Context } from "../context.js";
import { watch } from "../dom.js";
import type { Head, Reply } from "../protocol.js";
import { fixed } from "../text.js";
import { roleAt, roleLabel } from "./roles.js";
import { MOST_COLORED, weightsOf } from "./work.js";

/** Above this many tokens only what the reader asks for is computed. */
const MOST_TOKENS = 1024;

export interface Habits {
  /** What is known of a head, in a few words. */
  chips(head: Head): string[];
  sinkShare(head: Head): number | undefined;
}

/** A head's role, with its score and what chance gives, its entropy, and what it leaves at the first token. */
export function headHabits(context: Context): Habits {
  const { state, source, life } = context;
  const replies = new Map<string, Reply>();
  const asked = new Set<string>();
  const version = signal(0);
  const ask = (kind: string, name: string) => {
    const key = `${kind}|${name}`;
    if (asked.has(key)) return;
    asked.add(key);
    const reply =
      name === "roles" ? source.ask({ type: "roles", kind }, life) : source.statistic(kind, name, life);
    reply.then(
      (found) => {
        replies.set(key, found);
        version.value = version.peek() + 1;
      },
      () => asked.delete(key),
    );
  };
  watch(life, () => {
    const { kind, statistics, queries } = state.now.kind.value;
    if (weightsOf(state.now.kind.value) > MOST_COLORED) return;
    if (statistics.includes("entropy")) ask(kind, "entropy");
    if (queries.text.length > MOST_TOKENS) return;
    if (statistics.includes("sink_share")) ask(kind, "sink_share");
    if (statistics.length > 0) ask(kind, "roles");
  });
  const read = (name: string, [layer, head]: Head) => {
    void version.value;
    const kind = state.now.kind.value;
    const reply = replies.get(`${kind.kind}|${name}`);
    return reply?.data[kind.layers.indexOf(layer) * (reply.shape[1] ?? 0) + head];
  };
  return {
    sinkShare: (head) => read("sink_share", head),
    chips: (head) => {
      const found: string[] = [];
      const entropy = read("entropy", head) ?? Number.NaN;
      const kind = state.now.kind.value;
      const roles = replies.get(`${kind.kind}|roles`);
      const role = roles && roleAt(roles, kind.layers.indexOf(head[0]), head[1]);
      if (role?.name === "broad") found.push("broad");
      else if (role)
        found.push(`${roleLabel(role.name)} ${fixed(role.score, 2)} · chance ${fixed(role.chance, 2)}`);
      if (!Number.isNaN(entropy)) found.push(`entropy ${fixed(entropy, 2)}`);
      return found;
    },
  };
}
