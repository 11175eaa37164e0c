import type { Head, KindInfo, Reply } from "../protocol.js";
import { headsIn } from "../state.js";

/** All heads of a kind, layer by layer. */
export function headsOf(kind: KindInfo): Head[] {
  return kind.layers.flatMap((layer) =>
    Array.from({ length: headsIn(kind, layer) }, (_, head): Head => [layer, head]),
  );
}

/** The number a reply with one row per layer gives a head. */
export function numberOf(kind: KindInfo, reply: Reply, [layer, head]: Head): number {
  const [, most = 0, each = 1] = reply.shape;
  return reply.data[(kind.layers.indexOf(layer) * most + head) * each] ?? Number.NaN;
}

/** Heads by a number, in order of what they have; those without one come last. */
export function byNumber(
  heads: readonly Head[],
  value: (head: Head) => number,
  direction: "up" | "down",
): Head[] {
  const sign = direction === "up" ? 1 : -1;
  const numbers = new Map(heads.map((head) => [head, value(head)]));
  return [...heads].sort((a, b) => {
    const [left, right] = [numbers.get(a) as number, numbers.get(b) as number];
    if (Number.isNaN(left) || Number.isNaN(right))
      return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
    return sign * (left - right);
  });
}

/** Says so where heads were compared on a part of the text. */
export function comparedNote({ info }: Reply): string {
  const parts = (["queries", "keys"] as const).flatMap((side) => {
    const [compared, all] = Array.isArray(info?.[side]) ? info[side] : [];
    const what = side === "keys" ? "groups of keys" : "queries";
    return Number(compared) < Number(all) ? [`${compared} ${what} of ${all}`] : [];
  });
  return parts.length > 0 ? ` · compared over ${parts.join(", ")}` : "";
}
