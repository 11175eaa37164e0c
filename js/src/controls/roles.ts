import { type Color, type Palette, ROLE_COLORS } from "../draw/palette.js";
import type { Reply } from "../protocol.js";
import { words } from "../text.js";

export interface Role {
  name: string;
  /** Stands for it where there is room for one sign. */
  sign: string;
  /** Its score, and that of uniform attention. */
  score: number;
  chance: number;
}

/** In the order of their colours. */
const SIGNS: Record<string, string> = {
  previous_token: "P",
  self: "S",
  next_token: "N",
  local: "L",
  duplicate_token: "D",
  induction: "I",
  sink: "1",
  separator: "/",
  punctuation: ".",
  broad: "B",
};
const ORDER = Object.keys(SIGNS);
/** Where there is little room. */
const SHORT: Record<string, string> = { punctuation: "punct." };

const rank = (name: string) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);

/** The role a reply gives a head, by the place of its layer; null for a head without a clear one. */
export function roleAt({ data, shape, info }: Reply, layer: number, head: number): Role | null {
  const at = 3 * (layer * (shape[1] ?? 0) + head);
  const names: unknown = info?.roles;
  const name: unknown = Array.isArray(names) ? names[data[at] ?? -1] : undefined;
  if (typeof name !== "string") return null;
  const [score = Number.NaN, chance = Number.NaN] = data.subarray(at + 1, at + 3);
  return roleOf(name, score, chance);
}

export const roleOf = (name: string, score: number, chance: number): Role => ({
  name,
  sign: SIGNS[name] ?? "?",
  score,
  chance,
});

export function roleColor(palette: Palette, name: string): Color {
  const colors = ROLE_COLORS[palette.dark ? "dark" : "light"];
  return colors[rank(name) % colors.length] as Color;
}

export const roleLabel = (name: string): string => (name === "sink" ? "first token (sink)" : words(name));

export const shortLabel = (name: string): string => SHORT[name] ?? words(name).replace(" token", "");

/** Names of roles in one order, whatever they are counted in. */
export const inOrder = (names: Iterable<string>): string[] => [...names].sort((a, b) => rank(a) - rank(b));
