import { computed } from "@preact/signals-core";
import { type Domain, domainOf, strengthOf } from "../attention/strength.js";
import type { HeadValues } from "../controls/headvalues.js";
import { type Role, roleOf } from "../controls/roles.js";
import { placeOf } from "./data.js";
import type { ProfileState } from "./state.js";

/** What heads are coloured by, as a map of heads wants it. */
export function profileValues(state: ProfileState): HeadValues {
  const { profile, chosen, frame } = state;
  const most = Math.max(...profile.heads);
  const byRole = computed(() => chosen.color_by.value === "role");
  const numbers = computed(() =>
    byRole.value ? undefined : profile.numbers("mean", chosen.by.value, chosen.color_by.value),
  );
  const scale = computed(() => {
    const found = numbers.value ?? new Float32Array(0);
    const domain = domainOf([found]);
    return { domain, strength: strengthOf(frame.synced.color_scale.value, domain, () => found) };
  });
  const question = computed(() => {
    const name = chosen.color_by.value;
    return { name, label: state.label(name) };
  });
  let version = 0;
  const changes = computed(() => {
    void [scale.value, question.value, chosen.by.value];
    version += 1;
    return version;
  });
  const role = (row: number, head: number): Role | null => {
    const at = row * most + head;
    const name = profile.role(at);
    if (name === null) return null;
    const statistic = profile.statistics.find((one) => [name, `${name}_share`].includes(one.name))?.name;
    const score = statistic ? profile.numbers("mean", "rows", statistic)[at] : undefined;
    const chance = statistic ? profile.chance("rows", statistic)[row] : undefined;
    return roleOf(name, score ?? Number.NaN, chance ?? Number.NaN);
  };
  return {
    question,
    version: changes,
    get label() {
      return question.peek().label;
    },
    valueAt: (row, head) => numbers.peek()?.[row * most + head],
    strengthAt: (row, head) => {
      const value = numbers.peek()?.[row * most + head];
      return value === undefined ? undefined : scale.peek().strength(value);
    },
    roleAt: (row, head) => (byRole.peek() ? role(row, head) : undefined),
    get byRole() {
      return byRole.peek();
    },
    get domain(): Domain | undefined {
      return byRole.peek() ? undefined : scale.peek().domain;
    },
  };
}

/** A number of a head, and what stands beside it. */
export interface Said {
  value: number;
  chance: number;
  spread: number;
  /** Standard error of the mean over texts; NaN where it is a mean over rows, which are not independent. */
  error: number;
  texts: number;
}

export function said(
  { profile, chosen }: ProfileState,
  statistic: string,
  head: readonly [number, number],
): Said {
  const by = chosen.by.value;
  const at = placeOf(profile, [head[0], head[1]]);
  const spread = profile.numbers("spread", by, statistic)[at] ?? Number.NaN;
  const texts = profile.counted(statistic, at);
  return {
    value: profile.numbers("mean", by, statistic)[at] ?? Number.NaN,
    chance: profile.chance(by, statistic)[profile.layers.indexOf(head[0])] ?? Number.NaN,
    spread,
    error: by === "texts" && texts > 1 ? spread / Math.sqrt(texts - 1) : Number.NaN,
    texts,
  };
}
